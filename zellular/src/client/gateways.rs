//! Chooses the gateway to read from and those to post to.
//!
//! A *survey* asks all nodes for their state every few seconds. Their claims are not proven, so they are
//! only ever used against a node: whoever claims a huge index gains nothing by it. A node lags if its
//! index is below the median of the previous survey, weighted by stake; to move that median above what
//! honest nodes say, more than half of the stake must lie. Among the gateways with the fewest reasons
//! against them, the choice is random, which spreads many readers over the network.

#[cfg(test)]
mod tests;

use std::time::Duration;

use fastrand::Rng;
use tokio::time::Instant;

use super::backoff::jitter;
use super::gateway::{
    DISHONEST_WAIT, Gateway, GatewayAddress, GatewayFailure, GatewayStatus, NodeClaim,
    REFUSALS_LAST, UNAVAILABLE_WAIT, Use,
};
use super::lane::{LANES_MAX, Route};

/// The time without a post after which a lane may change to a better gateway. By then everything that the
/// old one took is finalized or lost, so no order of posts can be broken.
const LANE_LASTS: Duration = Duration::from_secs(300);

/// The gateway that a lane leads to, and when it was last used.
#[derive(Clone, Copy, Debug, Default)]
struct Lane {
    gateway: Option<usize>,
    used: Option<Instant>,
}

/// The gateways of a network, with the one that is read from and one per lane for posting.
#[derive(Debug)]
pub(super) struct Gateways {
    list: Vec<Gateway>,
    reading: Option<usize>,
    lanes: [Lane; LANES_MAX],
    /// The position of the gateway that gave the last answer to a read.
    answered: usize,
    was_surveyed: bool,
    /// The network's last finalized index by the latest survey.
    median: Option<u64>,
    rng: Rng,
}

impl Gateways {
    /// Takes some addresses. Repeated ones count once.
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

    /// Replaces the addresses. What is known about those that stay is kept, so that a dishonest gateway
    /// does not get a clean record by each change of the operators.
    pub fn set(&mut self, addresses: Vec<GatewayAddress>) {
        // Positions change with the list, so what leads to a gateway is carried over by its address.
        let url_of = |cursor: Option<usize>| {
            cursor.and_then(|at| self.list.get(at)).map(|gateway| gateway.address.url.clone())
        };
        let reading = url_of(self.reading);
        let posting = self.lanes.map(|lane| url_of(lane.gateway));
        let mut old = std::mem::take(&mut self.list);
        for mut address in addresses {
            // `http://a` and `http://a/` are one gateway, and must share one record.
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
        // A report about the last answer of a gateway that is gone must blame no other one.
        self.answered = self.reading.unwrap_or(usize::MAX);
    }

    /// Returns the addresses, or a random `count_max` of them if there are more.
    pub fn sample(&mut self, count_max: usize) -> Vec<String> {
        let urls = self.list.iter().map(|gateway| gateway.address.url.clone());
        self.rng.choose_multiple(urls, count_max)
    }

    /// Returns the address of the gateway at a position.
    pub fn url(&self, position: usize) -> String {
        self.list.get(position).map_or_else(String::new, |gateway| gateway.address.url.clone())
    }

    /// Chooses one of the best gateways, without those in `except`. If all are avoided, it is the one that
    /// is avoided for the shortest time. For posting it is one that the fewest lanes lead to and, if there
    /// is another, not the one that is read from: a bad gateway should not harm both.
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
            // `false` sorts before `true`: of those with the fewest lanes, one that is not read from wins.
            let load = |position: usize| (self.lanes_to(position), self.reading == Some(position));
            let lightest = candidates.iter().map(|(_, position)| load(*position)).min()?;
            candidates.retain(|(_, position)| load(*position) == lightest);
        }
        self.rng.choice(candidates).map(|(_, position)| position)
    }

    /// Returns the gateway to read from. It stays the same until something speaks against it.
    pub fn reading(&mut self) -> Option<usize> {
        if self.reading.is_none() {
            self.reading = self.choose(Use::Reading, &[]);
        }
        self.reading
    }

    /// Returns the URL of the gateway that gave the last answer to a read.
    pub fn source(&self) -> String {
        self.url(self.answered)
    }

    /// Returns the URL of a gateway that is good to read from, other than the given one.
    pub fn other_than(&mut self, url: &str) -> Option<String> {
        // A single gateway has no other, even if the given one has left the list.
        if self.list.len() < 2 {
            return None;
        }
        let except: Vec<usize> = self.position(url).into_iter().collect();
        let position = self.choose(Use::Reading, &except)?;
        // Nothing depends on this answer, so one that is avoided is left alone.
        let until = self.list.get(position)?.avoided_until;
        until.is_none_or(|until| until <= Instant::now()).then(|| self.url(position))
    }

    /// Returns the gateway that a lane leads to. It stays the same until something speaks against it.
    pub fn posting(&mut self, lane: usize) -> Option<usize> {
        let Lane { gateway, .. } = *self.lanes.get(lane)?;
        let gateway = gateway.or_else(|| self.choose(Use::Posting, &[]));
        *self.lanes.get_mut(lane)? = Lane { gateway, used: Some(Instant::now()) };
        gateway
    }

    /// The number of lanes that lead to a gateway.
    fn lanes_to(&self, position: usize) -> usize {
        self.lanes.iter().filter(|lane| lane.gateway == Some(position)).count()
    }

    /// The number of gateways that are equally good to post to and better than all others.
    pub fn lanes(&self) -> usize {
        let now = Instant::now();
        let demerits = |gateway: &Gateway| gateway.demerits(Use::Posting, now, self.was_surveyed);
        let least = self.list.iter().map(demerits).min();
        let good = self.list.iter().filter(|gateway| Some(demerits(gateway)) == least).count();
        good.clamp(1, LANES_MAX)
    }

    /// Notes the answer that there is nothing after an index. Changes to another gateway if this one
    /// withholds batches that it claims to have, if others claim to have more, or if another has become
    /// better. This is the right moment to change: no batches are held that only this gateway can prove.
    pub fn nothing_after(&mut self, index: u64) {
        let Some(reading) = self.reading else { return };
        // The last claim may be newer than the answer, so the one before it is used.
        let has_more =
            |gateway: &Gateway| gateway.claim_before.filter(|claim| claim.finalized > index);
        if let Some(claim) = self.list.get(reading).and_then(has_more) {
            let last = claim.finalized;
            let text =
                format!("it claims that batch {last} is finalized, but has nothing after {index}");
            self.fails(&self.url(reading), &GatewayFailure::Unavailable(text));
            return;
        }
        self.read_well();
        // Following a false claim costs one request: the claimant must then prove its batches.
        let others: Vec<usize> = (0..self.list.len())
            .filter(|position| self.list.get(*position).and_then(has_more).is_none())
            .collect();
        let now = Instant::now();
        let is_avoided = |gateway: &Gateway| gateway.avoided_until.is_some_and(|until| now < until);
        let claimant = self.choose(Use::Reading, &others);
        // A gateway that is avoided is not followed for its claim alone.
        let is_usable =
            |position: &usize| self.list.get(*position).is_some_and(|it| !is_avoided(it));
        self.reading = match claimant.filter(is_usable) {
            Some(claimant) => Some(claimant),
            None => self.reconsidered(Use::Reading, self.reading),
        };
    }

    /// Returns the same gateway, or a better one.
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

    /// Notes that a gateway took a post. The next posts on the same lane follow it there.
    pub fn takes(&mut self, url: &str, route: Route) {
        let Some(position) = self.position(url) else { return };
        if let Route::Lane(lane) = route
            && let Some(lane) = self.lanes.get_mut(lane)
        {
            lane.gateway = Some(position);
        }
        if let Some(gateway) = self.list.get_mut(position)
            // One post that was taken does not clear the record. A gateway that takes batches and loses them
            // would otherwise start with the shortest wait each time.
            && gateway.no_posts_until.is_none_or(|until| until.elapsed() > REFUSALS_LAST)
        {
            gateway.refusals = 0;
        }
    }

    /// Notes that the gateway that answered the last read is good.
    pub fn read_well(&mut self) {
        let now = Instant::now();
        let Some(gateway) = self.list.get_mut(self.answered) else { return };
        // The count of dishonest answers stays, so that good answers in between do not shorten the next wait.
        gateway.failures = 0;
        if gateway.avoided_until.is_none_or(|until| until <= now) {
            gateway.last_failure = None;
        }
    }

    /// Returns the gateways whose last answer to a read was a failure, and that are neither avoided nor read from.
    pub fn failed(&self) -> Vec<String> {
        let now = Instant::now();
        let is_failed = |(position, gateway): &(usize, &Gateway)| {
            gateway.last_failure.is_some()
                && gateway.avoided_until.is_none_or(|until| until <= now)
                && self.reading != Some(*position)
        };
        let failed = self.list.iter().enumerate().filter(is_failed);
        failed.map(|(_, gateway)| gateway.address.url.clone()).collect()
    }

    /// Notes that a gateway that failed answers reads again.
    pub fn works_again(&mut self, url: &str) {
        if let Some(gateway) = self.position(url).and_then(|position| self.list.get_mut(position)) {
            gateway.failures = 0;
            gateway.last_failure = None;
        }
    }

    /// Notes a failure of the gateway that gave the last answer to a read.
    pub fn report(&mut self, failure: &GatewayFailure) {
        let url = self.url(self.answered);
        self.fails(&url, failure);
    }

    /// Notes a failure. The gateway is avoided for a while, for reading and on all lanes.
    pub fn fails(&mut self, url: &str, failure: &GatewayFailure) {
        let Some(position) = self.position(url) else { return };
        let Some(gateway) = self.list.get_mut(position) else { return };
        // Once, not at every retry.
        if gateway.last_failure.as_deref() != Some(failure.text()) {
            tracing::warn!("gateway {url}: {}", failure.text());
        }
        gateway.last_failure = Some(failure.text().to_string());
        gateway.failures_total += 1;
        let wait = match failure {
            GatewayFailure::Unavailable(_) => {
                gateway.failures = gateway.failures.saturating_add(1);
                UNAVAILABLE_WAIT.after(gateway.failures)
            }
            GatewayFailure::Dishonest(_) => {
                gateway.dishonest_answers = gateway.dishonest_answers.saturating_add(1);
                DISHONEST_WAIT.after(gateway.dishonest_answers)
            }
        };
        let until = Instant::now() + jitter(wait, &mut self.rng);
        // Being unavailable must not shorten the wait for a dishonest answer.
        gateway.avoided_until = gateway.avoided_until.max(Some(until));
        if self.reading == Some(position) {
            self.reading = None;
        }
        self.leave(position);
    }

    /// Takes all lanes away from a gateway.
    fn leave(&mut self, position: usize) {
        for lane in self.lanes.iter_mut().filter(|lane| lane.gateway == Some(position)) {
            lane.gateway = None;
        }
    }

    /// Notes that a gateway did not take a post. Reading goes on: while the network has no leader, all of
    /// its nodes refuse posts and still answer reads.
    pub fn refuses(&mut self, url: &str, why: &str) {
        let Some(position) = self.position(url) else { return };
        let Some(gateway) = self.list.get_mut(position) else { return };
        tracing::debug!("gateway {url} refused a post: {why}");
        gateway.refusals = gateway.refusals.saturating_add(1);
        let wait = jitter(UNAVAILABLE_WAIT.after(gateway.refusals), &mut self.rng);
        gateway.no_posts_until = Some(Instant::now() + wait);
        self.leave(position);
    }

    fn position(&self, url: &str) -> Option<usize> {
        self.list.iter().position(|gateway| gateway.address.url == url)
    }

    /// Takes the claims of a survey, by address.
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
        let lanes = self.lanes;
        for (number, lane) in lanes.into_iter().enumerate() {
            // An idle lane may lead to a gateway that it shares with another lane, because no better one was
            // there at the time. The first lane is never idle for long and keeps its gateway.
            let is_idle = number > 0 && lane.used.is_none_or(|used| used.elapsed() > LANE_LASTS);
            let cursor = lane.gateway.filter(|_| !is_idle);
            let gateway = self.reconsidered(Use::Posting, cursor);
            if let Some(lane) = self.lanes.get_mut(number) {
                lane.gateway = gateway;
            }
        }
    }

    /// Returns the median, weighted by stake, of the finalized indexes that nodes claim; of two, the lower.
    /// To raise it above what honest nodes claim takes more than half of the stake that answered.
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

    /// Returns the state of all gateways.
    pub fn statuses(&self) -> Vec<GatewayStatus> {
        let statuses = self.list.iter().enumerate().map(|(position, gateway)| GatewayStatus {
            url: gateway.address.url.clone(),
            is_read_from: self.reading == Some(position),
            is_posted_to: self.lanes_to(position) > 0,
            is_leader: gateway.claim.is_some_and(|claim| claim.is_leader),
            finalized: gateway.claim.map(|claim| claim.finalized),
            lags: gateway.lags,
            failures: gateway.failures_total,
            dishonest_answers: gateway.dishonest_answers,
            last_failure: gateway.last_failure.clone(),
        });
        statuses.collect()
    }
}
