//! Which gateway to read from and which to post to. What nodes say of themselves only ever demotes: a
//! liar with a huge index gains nothing, and the index to measure lag by is the median by stake.

use std::time::Duration;

use fastrand::Rng;
use tokio::time::Instant;
use zellbook_core::wire::GatewayBody;

/// How long a gateway is avoided after a fault: doubled with each in a row, from the first to the last.
const FAULT_WAIT: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));
/// The same after a lie that is proven.
const LIE_WAIT: (Duration, Duration) = (Duration::from_secs(300), Duration::from_secs(3600));

/// After which time without a refusal earlier ones are forgotten.
const REFUSALS_LAST: Duration = Duration::from_secs(60);

/// A gateway and the stake behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GatewayAddress {
    /// Such as `http://127.0.0.1:6001`.
    pub url: String,
    /// The node's stake; what it says of the network counts by it.
    pub stake: u64,
}

/// What a node says of itself at `/node/state`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodeClaim {
    /// Whether it is the leader, which is better left to its work.
    pub is_leader: bool,
    /// The last index that it has seen finalized.
    pub finalized: u64,
}

/// What was wrong with a gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It did not answer, refused, or is behind: what can befall an honest node.
    Fails(String),
    /// It sent what no honest node sends.
    Lies(String),
}

impl Fault {
    /// What it was.
    pub fn text(&self) -> &str {
        let (Self::Fails(text) | Self::Lies(text)) = self;
        text
    }
}

/// What a gateway is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// Reading what is finalized.
    Reading,
    /// Posting batches.
    Posting,
}

#[derive(Debug)]
struct Gateway {
    address: GatewayAddress,
    /// What it said when it was asked last; `None` if it did not answer.
    claim: Option<NodeClaim>,
    /// What it said when it was asked before that.
    claim_before: Option<NodeClaim>,
    /// Whether it has not even reached what the network had one survey earlier.
    lags: bool,
    /// Faults in a row.
    faults: u32,
    /// Faults since the start.
    faults_ever: u64,
    /// Proven lies since the start.
    lies: u32,
    /// Posts in a row that it did not take.
    refusals: u32,
    /// Until when it is avoided.
    avoided_until: Option<Instant>,
    /// Until when it is not posted to.
    no_posts_until: Option<Instant>,
    fault: Option<String>,
}

impl Gateway {
    const fn new(address: GatewayAddress) -> Self {
        Self {
            address,
            claim: None,
            claim_before: None,
            lags: false,
            faults: 0,
            faults_ever: 0,
            lies: 0,
            refusals: 0,
            avoided_until: None,
            no_posts_until: None,
            fault: None,
        }
    }

    /// What speaks against it; the least is taken.
    fn demerits(&self, what: Use, now: Instant, was_surveyed: bool) -> Demerits {
        let posts = self.no_posts_until.filter(|_| what == Use::Posting);
        Demerits {
            avoided_until: self.avoided_until.max(posts).filter(|until| now < *until),
            is_silent: was_surveyed && self.claim.is_none(),
            lags: self.lags,
            is_leader: self.claim.is_some_and(|claim| claim.is_leader),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Demerits {
    avoided_until: Option<Instant>,
    is_silent: bool,
    lags: bool,
    is_leader: bool,
}

/// The gateways of a network, with a cursor for reading and one for posting.
#[derive(Debug)]
pub struct Gateways {
    list: Vec<Gateway>,
    reading: Option<usize>,
    posting: Option<usize>,
    /// The one that gave the last answer to a read.
    answered: usize,
    was_surveyed: bool,
    /// The network's last index by the survey before the last.
    median: Option<u64>,
    rng: Rng,
}

impl Gateways {
    /// Of these addresses; one that is there twice counts once.
    pub fn new(addresses: Vec<GatewayAddress>, rng: Rng) -> Self {
        let mut gateways = Self {
            list: Vec::new(),
            reading: None,
            posting: None,
            answered: 0,
            was_surveyed: false,
            median: None,
            rng,
        };
        gateways.set(addresses);
        gateways
    }

    /// Puts other addresses in the place of these. Of those that stay, what is known stays too.
    pub fn set(&mut self, addresses: Vec<GatewayAddress>) {
        let url_of = |cursor: Option<usize>| {
            cursor.and_then(|at| self.list.get(at)).map(|gateway| gateway.address.url.clone())
        };
        let (reading, posting) = (url_of(self.reading), url_of(self.posting));
        let mut old = std::mem::take(&mut self.list);
        for mut address in addresses {
            address.url.truncate(address.url.trim_end_matches('/').len());
            if self.list.iter().any(|gateway| gateway.address.url == address.url) {
                continue;
            }
            let known = old.iter().position(|gateway| gateway.address.url == address.url);
            let mut gateway = match known {
                Some(position) => old.swap_remove(position),
                None => Gateway::new(address.clone()),
            };
            gateway.address = address;
            self.list.push(gateway);
        }
        let find = |url: Option<String>| {
            url.and_then(|url| self.list.iter().position(|gateway| gateway.address.url == url))
        };
        (self.reading, self.posting) = (find(reading), find(posting));
        self.answered = self.reading.unwrap_or(usize::MAX);
    }

    /// The addresses, or as many of them at random.
    pub fn sample(&mut self, most: usize) -> Vec<String> {
        let urls = self.list.iter().map(|gateway| gateway.address.url.clone());
        self.rng.choose_multiple(urls, most)
    }

    /// The address of the gateway at a position.
    pub fn url(&self, position: usize) -> String {
        self.list.get(position).map_or_else(String::new, |gateway| gateway.address.url.clone())
    }

    /// One of the gateways with the fewest demerits, apart from some, and `rather_not` only if it is the
    /// only one; if all are avoided, the one that is avoided for the shortest time.
    pub fn choose(
        &mut self,
        what: Use,
        except: &[usize],
        rather_not: Option<usize>,
    ) -> Option<usize> {
        let now = Instant::now();
        let ranked =
            self.list.iter().enumerate().map(|(position, gateway)| {
                (gateway.demerits(what, now, self.was_surveyed), position)
            });
        let mut candidates: Vec<_> =
            ranked.filter(|(_, position)| !except.contains(position)).collect();
        let least = candidates.iter().map(|(demerits, _)| *demerits).min()?;
        candidates.retain(|(demerits, _)| *demerits == least);
        if candidates.len() > 1 {
            candidates.retain(|(_, position)| Some(*position) != rather_not);
        }
        self.rng.choice(candidates).map(|(_, position)| position)
    }

    /// The gateway to read from. It stays the same until something speaks against it.
    pub fn reading(&mut self) -> Option<usize> {
        if self.reading.is_none() {
            self.reading = self.choose(Use::Reading, &[], None);
        }
        self.reading
    }

    /// The gateway to post to. It stays the same until something speaks against it. It is not the one
    /// that is read if that can be helped: one that is bad does not do all the harm.
    pub fn posting(&mut self) -> Option<usize> {
        if self.posting.is_none() {
            self.posting = self.choose(Use::Posting, &[], self.reading);
        }
        self.posting
    }

    /// After an answer that there is nothing after an index: leaves a gateway that withholds what it says
    /// it has, or that others say they have, and one that has become worse than others. Only then is
    /// nothing held that only this gateway could prove.
    pub fn nothing_after(&mut self, index: u64) {
        let Some(reading) = self.reading else { return };
        // What it said a survey ago is not too new to be there.
        let has_more =
            |gateway: &Gateway| gateway.claim_before.filter(|claim| claim.finalized > index);
        if let Some(claim) = self.list.get(reading).and_then(has_more) {
            let last = claim.finalized;
            let fault =
                format!("it says that batch {last} is finalized, but has nothing after {index}");
            self.fault(&self.url(reading), &Fault::Fails(fault));
            return;
        }
        self.read_well();
        // To believe one costs a question: it has to prove it.
        let others: Vec<usize> = (0..self.list.len())
            .filter(|position| self.list.get(*position).and_then(has_more).is_none())
            .collect();
        let now = Instant::now();
        let is_avoided = |gateway: &Gateway| gateway.avoided_until.is_some_and(|until| now < until);
        let claimant = self.choose(Use::Reading, &others, None);
        let is_usable =
            |position: &usize| self.list.get(*position).is_some_and(|it| !is_avoided(it));
        self.reading = match claimant.filter(is_usable) {
            Some(claimant) => Some(claimant),
            None => self.reconsidered(Use::Reading, self.reading),
        };
    }

    /// The same gateway, or a better one.
    fn reconsidered(&mut self, what: Use, cursor: Option<usize>) -> Option<usize> {
        let now = Instant::now();
        let demerits = |gateway: &Gateway| gateway.demerits(what, now, self.was_surveyed);
        let current = self.list.get(cursor?).map(demerits);
        let least = self.list.iter().map(demerits).min();
        if least < current { self.choose(what, &[], None) } else { cursor }
    }

    /// Notes a good answer; to a read if `is_read`.
    pub fn works(&mut self, url: &str, is_read: bool) {
        let Some(position) = self.position(url) else { return };
        if is_read {
            self.answered = position;
        } else if let Some(gateway) = self.list.get_mut(position)
            && gateway.no_posts_until.is_none_or(|until| until.elapsed() > REFUSALS_LAST)
        {
            gateway.refusals = 0;
        }
    }

    /// Notes that the answer to the last read was what is to be expected.
    pub fn read_well(&mut self) {
        let now = Instant::now();
        let Some(gateway) = self.list.get_mut(self.answered) else { return };
        gateway.faults = 0;
        if gateway.avoided_until.is_none_or(|until| until <= now) {
            gateway.fault = None;
        }
    }

    /// Notes a fault of the gateway that gave the last answer to a read.
    pub fn report(&mut self, fault: &Fault) {
        let url = self.url(self.answered);
        self.fault(&url, fault);
    }

    /// Notes a fault. It is avoided for a while, and what was at it goes elsewhere.
    pub fn fault(&mut self, url: &str, fault: &Fault) {
        let Some(position) = self.position(url) else { return };
        let jitter = 0.5 + self.rng.f64() / 2.0;
        let Some(gateway) = self.list.get_mut(position) else { return };
        if gateway.fault.as_deref() != Some(fault.text()) {
            tracing::warn!("gateway {url}: {}", fault.text());
        }
        gateway.fault = Some(fault.text().to_string());
        gateway.faults_ever += 1;
        let wait = match fault {
            Fault::Fails(_) => {
                gateway.faults = gateway.faults.saturating_add(1);
                doubled(FAULT_WAIT, gateway.faults)
            }
            Fault::Lies(_) => {
                gateway.lies = gateway.lies.saturating_add(1);
                doubled(LIE_WAIT, gateway.lies)
            }
        };
        let until = Instant::now() + wait.mul_f64(jitter);
        // A fault does not shorten what a lie earned.
        gateway.avoided_until = gateway.avoided_until.max(Some(until));
        if self.reading == Some(position) {
            self.reading = None;
        }
        if self.posting == Some(position) {
            self.posting = None;
        }
    }

    /// Notes that it did not take a post. It is read all the same: while the network has no leader, all
    /// of its nodes refuse.
    pub fn refuses(&mut self, url: &str, why: &str) {
        let Some(position) = self.position(url) else { return };
        let jitter = 0.5 + self.rng.f64() / 2.0;
        let Some(gateway) = self.list.get_mut(position) else { return };
        tracing::debug!("gateway {url} takes no posts: {why}");
        gateway.refusals = gateway.refusals.saturating_add(1);
        let wait = doubled(FAULT_WAIT, gateway.refusals).mul_f64(jitter);
        gateway.no_posts_until = Some(Instant::now() + wait);
        if self.posting == Some(position) {
            self.posting = None;
        }
    }

    fn position(&self, url: &str) -> Option<usize> {
        self.list.iter().position(|gateway| gateway.address.url == url)
    }

    /// Takes what the nodes said when all were asked, by address.
    pub fn take_survey(&mut self, claims: &[(String, Option<NodeClaim>)]) {
        for (url, claim) in claims {
            if let Some(gateway) = self.list.iter_mut().find(|known| known.address.url == *url) {
                gateway.claim_before = std::mem::replace(&mut gateway.claim, *claim);
            }
        }
        let median = self.weighted_median();
        let before = std::mem::replace(&mut self.median, median);
        self.was_surveyed = true;
        for gateway in &mut self.list {
            gateway.lags =
                before.zip(gateway.claim).is_some_and(|(before, claim)| claim.finalized < before);
        }
        self.posting = self.reconsidered(Use::Posting, self.posting);
    }

    /// The median by stake of the last finalized indexes that nodes say they have; of two the lower.
    /// Liars need more than half of the stake that answered to raise it above what honest nodes say.
    fn weighted_median(&self) -> Option<u64> {
        let mut claims: Vec<(u64, u128)> = self
            .list
            .iter()
            .filter_map(|gateway| {
                let claim = gateway.claim?;
                Some((claim.finalized, u128::from(gateway.address.stake)))
            })
            .collect();
        claims.sort_unstable();
        let all = claims.iter().map(|(_, stake)| stake).sum::<u128>();
        let mut below = 0;
        claims.into_iter().find_map(|(index, stake)| {
            below += stake;
            (below * 2 >= all).then_some(index)
        })
    }

    /// The gateways as the status shows them.
    pub fn bodies(&self) -> Vec<GatewayBody> {
        let bodies = self.list.iter().enumerate().map(|(position, gateway)| GatewayBody {
            url: gateway.address.url.clone(),
            in_use: self.reading == Some(position),
            is_posted_to: self.posting == Some(position),
            is_leader: gateway.claim.is_some_and(|claim| claim.is_leader),
            finalized: gateway.claim.map(|claim| claim.finalized.to_string()),
            lags: gateway.lags,
            faults: gateway.faults_ever.to_string(),
            lies: gateway.lies.to_string(),
            fault: gateway.fault.clone(),
        });
        bodies.collect()
    }
}

fn doubled((first, most): (Duration, Duration), times: u32) -> Duration {
    first.saturating_mul(1 << times.saturating_sub(1).min(16)).min(most)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gateways(stakes: &[u64]) -> Gateways {
        let address = |(number, stake): (usize, &u64)| GatewayAddress {
            url: format!("http://{number}"),
            stake: *stake,
        };
        Gateways::new(stakes.iter().enumerate().map(address).collect(), Rng::with_seed(3))
    }

    fn survey(gateways: &mut Gateways, finalized: &[Option<u64>]) {
        let claim = |finalized: u64| NodeClaim { is_leader: false, finalized };
        let claims: Vec<_> = finalized
            .iter()
            .enumerate()
            .map(|(number, index)| (format!("http://{number}"), index.map(claim)))
            .collect();
        gateways.take_survey(&claims);
    }

    fn fails() -> Fault {
        Fault::Fails("x".into())
    }

    /// How often each is chosen of many times.
    fn chosen(gateways: &mut Gateways, what: Use) -> Vec<usize> {
        let mut counts = vec![0; gateways.list.len()];
        for _ in 0..1000 {
            counts[gateways.choose(what, &[], None).unwrap()] += 1;
        }
        counts
    }

    #[tokio::test(start_paused = true)]
    async fn a_claim_above_all_others_gains_nothing() {
        let mut gateways = gateways(&[10, 10, 10, 10]);
        for index in [100, 200] {
            survey(&mut gateways, &[Some(u64::MAX), Some(index), Some(index), Some(index)]);
        }
        assert!(gateways.list.iter().all(|gateway| !gateway.lags));
        assert!(chosen(&mut gateways, Use::Reading).into_iter().all(|count| count > 150));
    }

    #[tokio::test(start_paused = true)]
    async fn what_most_of_the_stake_had_a_survey_ago_is_lag() {
        let mut gateways = gateways(&[10, 10, 10, 10]);
        survey(&mut gateways, &[Some(100), Some(101), Some(40), None]);
        assert!(gateways.list.iter().all(|gateway| !gateway.lags), "nothing to compare with yet");
        survey(&mut gateways, &[Some(120), Some(100), Some(50), None]);
        let lags: Vec<bool> = gateways.list.iter().map(|gateway| gateway.lags).collect();
        assert_eq!(lags, [false, false, true, false]);
        let counts = chosen(&mut gateways, Use::Reading);
        assert_eq!((counts[2], counts[3]), (0, 0), "one lags, one is silent");
    }

    #[tokio::test(start_paused = true)]
    async fn liars_need_more_than_half_of_the_stake_to_move_the_median() {
        let mut even = gateways(&[10, 10, 20]);
        survey(&mut even, &[Some(5), Some(6), Some(u64::MAX)]);
        assert_eq!(even.median, Some(6));
        let mut most = gateways(&[10, 10, 21]);
        survey(&mut most, &[Some(5), Some(6), Some(u64::MAX)]);
        assert_eq!(most.median, Some(u64::MAX));
    }

    #[tokio::test(start_paused = true)]
    async fn the_leader_is_left_to_its_work_while_another_is_there() {
        let mut gateways = gateways(&[10, 10]);
        let claim = |is_leader| Some(NodeClaim { is_leader, finalized: 7 });
        let claims = [("http://0".into(), claim(true)), ("http://1".into(), claim(false))];
        gateways.take_survey(&claims);
        assert_eq!(chosen(&mut gateways, Use::Posting), [0, 1000]);
        gateways.fault("http://1", &fails());
        assert_eq!(chosen(&mut gateways, Use::Posting), [1000, 0]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_fault_is_forgiven_soon_and_later_each_time_and_a_lie_much_later() {
        let mut gateways = gateways(&[1, 1]);
        let mut avoided_for = |fault: &Fault| {
            gateways.fault("http://0", fault);
            assert_eq!(chosen(&mut gateways, Use::Reading), [0, 1000]);
            let until = gateways.list[0].avoided_until.take().unwrap();
            until - Instant::now()
        };
        let waits: Vec<Duration> = (0..8).map(|_| avoided_for(&fails())).collect();
        assert!(waits[0] <= FAULT_WAIT.0 && waits[0] >= FAULT_WAIT.0 / 2, "{waits:?}");
        assert!(waits[7] > waits[0] * 8 && waits[7] <= FAULT_WAIT.1, "{waits:?}");
        let lie = avoided_for(&Fault::Lies("y".into()));
        assert!(lie >= LIE_WAIT.0 / 2, "{lie:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_node_that_takes_no_posts_is_still_read() {
        let mut gateways = gateways(&[1, 1]);
        gateways.refuses("http://0", "IsPausedError");
        assert_eq!(chosen(&mut gateways, Use::Posting), [0, 1000]);
        assert!(chosen(&mut gateways, Use::Reading)[0] > 300);
    }

    #[tokio::test(start_paused = true)]
    async fn reading_and_posting_are_apart_and_stay_where_all_is_well() {
        let mut gateways = gateways(&[1, 1, 1]);
        let (reading, posting) = (gateways.reading(), gateways.posting());
        assert_ne!(reading, posting);
        for index in [1, 2, 3] {
            survey(&mut gateways, &[Some(index), Some(index), Some(index)]);
            gateways.nothing_after(index);
            assert_eq!((gateways.reading(), gateways.posting()), (reading, posting));
        }
        let url = gateways.url(reading.unwrap());
        gateways.fault(&url, &fails());
        assert_ne!(gateways.reading(), reading);
    }

    #[tokio::test(start_paused = true)]
    async fn a_gateway_that_withholds_is_left_for_one_that_claims_more() {
        let mut gateways = gateways(&[1, 1]);
        let reading = gateways.reading().unwrap();
        let mut claims = [Some(10), Some(10)];
        claims[reading] = Some(5);
        survey(&mut gateways, &claims);
        survey(&mut gateways, &claims);
        gateways.nothing_after(5);
        assert_eq!(gateways.reading(), Some(1 - reading));
        // It withholds too: that is a fault, and the first is back.
        gateways.nothing_after(5);
        assert!(
            gateways.list[1 - reading]
                .fault
                .as_deref()
                .is_some_and(|text| text.contains("nothing after 5"))
        );
        assert_eq!(gateways.reading(), Some(reading));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_known_of_a_gateway_stays_when_the_operators_change() {
        let mut gateways = gateways(&[1, 1]);
        gateways.fault("http://1", &Fault::Lies("y".into()));
        let address = |number: u8| GatewayAddress { url: format!("http://{number}/"), stake: 1 };
        gateways.set(vec![address(1), address(2), address(2)]);
        let bodies = gateways.bodies();
        let known: Vec<_> =
            bodies.iter().map(|body| (body.url.as_str(), body.lies.as_str())).collect();
        assert_eq!(known, [("http://1", "1"), ("http://2", "0")]);
        assert_eq!(gateways.reading(), Some(1));
    }
}
