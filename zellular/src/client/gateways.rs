//! Which gateway to read from and which to post to. What nodes say of themselves only ever demotes: a
//! liar with a huge index gains nothing, and the index to measure lag by is the median by stake.

mod gateway;
#[cfg(test)]
mod tests;

use std::time::Duration;

use fastrand::Rng;
use tokio::time::Instant;
use zellbook_core::wire::GatewayBody;

use super::{LANES_MAX, Way};
use gateway::{FAULT_WAIT, Gateway, LIE_WAIT, REFUSALS_LAST, doubled};

pub use gateway::{Fault, GatewayAddress, NodeClaim, Use};

/// After which time without a post a lane's gateway is chosen anew: by then nothing that it took is
/// still under way.
const LANE_LASTS: Duration = Duration::from_secs(300);

/// Where what takes a lane is posted to, and when something last did.
#[derive(Clone, Copy, Debug, Default)]
struct Lane {
    gateway: Option<usize>,
    used: Option<Instant>,
}

/// The gateways of a network, with a cursor for reading and one a lane for posting.
#[derive(Debug)]
pub struct Gateways {
    list: Vec<Gateway>,
    reading: Option<usize>,
    lanes: [Lane; LANES_MAX],
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
            lanes: [Lane::default(); LANES_MAX],
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
        let reading = url_of(self.reading);
        let posting = self.lanes.map(|lane| url_of(lane.gateway));
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
        self.reading = find(reading);
        for (lane, url) in self.lanes.iter_mut().zip(posting) {
            lane.gateway = find(url);
        }
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

    /// One of the gateways with the fewest demerits, apart from some; if all are avoided, the one that is
    /// avoided for the shortest time. To post to, one that the fewest lanes lead to, and if that can be
    /// helped not the one that is read: one that is bad does not do all the harm.
    pub fn choose(&mut self, what: Use, except: &[usize]) -> Option<usize> {
        let now = Instant::now();
        let ranked =
            self.list.iter().enumerate().map(|(position, gateway)| {
                (gateway.demerits(what, now, self.was_surveyed), position)
            });
        let mut candidates: Vec<_> =
            ranked.filter(|(_, position)| !except.contains(position)).collect();
        let least = candidates.iter().map(|(demerits, _)| *demerits).min()?;
        candidates.retain(|(demerits, _)| *demerits == least);
        if what == Use::Posting {
            let load = |position: usize| (self.lanes_to(position), self.reading == Some(position));
            let lightest = candidates.iter().map(|(_, position)| load(*position)).min()?;
            candidates.retain(|(_, position)| load(*position) == lightest);
        }
        self.rng.choice(candidates).map(|(_, position)| position)
    }

    /// The gateway to read from. It stays the same until something speaks against it.
    pub fn reading(&mut self) -> Option<usize> {
        if self.reading.is_none() {
            self.reading = self.choose(Use::Reading, &[]);
        }
        self.reading
    }

    /// The gateway that a lane leads to. It stays the same until something speaks against it.
    pub fn posting(&mut self, lane: usize) -> Option<usize> {
        let Lane { gateway, .. } = *self.lanes.get(lane)?;
        let gateway = gateway.or_else(|| self.choose(Use::Posting, &[]));
        *self.lanes.get_mut(lane)? = Lane { gateway, used: Some(Instant::now()) };
        gateway
    }

    /// How many lanes lead to a gateway.
    fn lanes_to(&self, position: usize) -> usize {
        self.lanes.iter().filter(|lane| lane.gateway == Some(position)).count()
    }

    /// How many gateways there are to post to with the fewest demerits, of which none is better.
    pub fn lanes(&self) -> usize {
        let now = Instant::now();
        let demerits = |gateway: &Gateway| gateway.demerits(Use::Posting, now, self.was_surveyed);
        let least = self.list.iter().map(demerits).min();
        let good = self.list.iter().filter(|gateway| Some(demerits(gateway)) == least).count();
        good.clamp(1, LANES_MAX)
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
        let claimant = self.choose(Use::Reading, &others);
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
        if least < current { self.choose(what, &[]) } else { cursor }
    }

    /// Notes a good answer to a read.
    pub fn answers(&mut self, url: &str) {
        if let Some(position) = self.position(url) {
            self.answered = position;
        }
    }

    /// Notes that a gateway took a post. What takes the same lane follows it there.
    pub fn takes(&mut self, url: &str, way: Way) {
        let Some(position) = self.position(url) else { return };
        if let Way::Lane(lane) = way
            && let Some(lane) = self.lanes.get_mut(lane)
        {
            lane.gateway = Some(position);
        }
        if let Some(gateway) = self.list.get_mut(position)
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
        self.leave(position);
    }

    /// Lets the lanes that lead to a gateway lead elsewhere.
    fn leave(&mut self, position: usize) {
        for lane in self.lanes.iter_mut().filter(|lane| lane.gateway == Some(position)) {
            lane.gateway = None;
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
        self.leave(position);
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
        for place in 0..LANES_MAX {
            let lane = self.lanes[place];
            // It may lead to another's gateway, where there was no better one.
            let is_idle = place > 0 && lane.used.is_none_or(|used| used.elapsed() > LANE_LASTS);
            let cursor = lane.gateway.filter(|_| !is_idle);
            self.lanes[place].gateway = self.reconsidered(Use::Posting, cursor);
        }
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
            is_posted_to: self.lanes_to(position) > 0,
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
