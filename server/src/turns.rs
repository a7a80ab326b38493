//! Clients take turns in the use of something scarce, such as threads.
//!
//! A client that asks for much waits behind its own requests, and behind one request at a time of each other
//! client. So how long anyone waits depends on how many clients there are, and not on how much they ask for.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::future::poll_fn;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use crate::client_address::ClientAddress;

pub struct Turns {
    per_client: usize,
    queue: Mutex<Queue>,
}

/// Who gets the next free place.
struct Queue {
    free: usize,
    /// The clients that have turns or wait for one.
    clients: HashMap<ClientAddress, Client>,
    /// The clients that wait and may have another turn, by their places.
    waiting: BTreeMap<Place, ClientAddress>,
    /// The number of the next place.
    number: u64,
}

#[derive(Default)]
struct Client {
    /// How many turns it has.
    turns: usize,
    waiting: VecDeque<oneshot::Sender<Turn>>,
    is_last: bool,
    place: Option<Place>,
}

/// A place in the queue. Those who are not last come first, of these the ones who have the fewest turns, and of these the
/// ones who came first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    is_last: bool,
    turns: usize,
    number: u64,
}

/// A client's turn, until it is dropped.
pub struct Turn {
    turns: Arc<Turns>,
    client: ClientAddress,
}

impl std::fmt::Debug for Turn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Turn of {}", self.client)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.turns.end(self.client);
    }
}

impl Turns {
    /// Turns of which `at_once` can be taken at the same time, `per_client` by one client.
    pub fn new(at_once: usize, per_client: usize) -> Arc<Self> {
        let queue =
            Queue { free: at_once, clients: HashMap::new(), waiting: BTreeMap::new(), number: 0 };
        Arc::new(Self { per_client, queue: Mutex::new(queue) })
    }

    /// Waits for a turn. A client that is last waits until no other one does.
    pub async fn take(self: &Arc<Self>, client: ClientAddress, is_last: bool) -> Turn {
        let waiting = {
            let mut queue = self.queue();
            let is_free = queue.free > 0;
            let own = queue.clients.entry(client).or_default();
            own.is_last = is_last;
            // A place is free only if everyone who waits has all turns that he may have.
            if is_free && own.turns < self.per_client {
                own.turns += 1;
                queue.free -= 1;
                return self.turn(client);
            }
            let (sender, receiver) = oneshot::channel();
            own.waiting.push_back(sender);
            queue.enter(client, self.per_client);
            receiver
        };
        match waiting.await {
            Ok(turn) => turn,
            // Never: the sender stays in the queue, which this future holds, until it has sent a turn.
            Err(_) => std::future::pending().await,
        }
    }

    /// Does work in turns up to where it first waits for something, and then the rest.
    pub async fn begin<T>(
        self: &Arc<Self>,
        client: ClientAddress,
        work: impl Future<Output = T>,
    ) -> T {
        let mut turn = Some(self.take(client, false).await);
        let mut work = pin!(work);
        poll_fn(|context| {
            let result = work.as_mut().poll(context);
            turn = None;
            result
        })
        .await
    }

    fn turn(self: &Arc<Self>, client: ClientAddress) -> Turn {
        Turn { turns: Arc::clone(self), client }
    }

    /// Ends a turn, and gives the place to the next client.
    fn end(self: &Arc<Self>, client: ClientAddress) {
        let mut queue = self.queue();
        queue.free += 1;
        if let Some(own) = queue.clients.get_mut(&client) {
            own.turns -= 1;
        }
        queue.enter(client, self.per_client);
        let next = queue.next(self.per_client);
        // Not while the queue is locked: a turn that nobody receives is dropped here, and locks it again.
        drop(queue);
        if let Some((client, next)) = next {
            let _ = next.send(self.turn(client));
        }
    }

    /// How many turns a client has.
    pub fn count(&self, client: ClientAddress) -> usize {
        self.queue().clients.get(&client).map_or(0, |own| own.turns)
    }

    /// Whether anyone waits for a turn.
    pub fn is_wanted(&self) -> bool {
        !self.queue().waiting.is_empty()
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many clients wait while no place is free.
    #[cfg(test)]
    pub fn waiting(&self) -> Option<usize> {
        let queue = self.queue();
        (queue.free == 0).then(|| queue.waiting.len())
    }
}

impl Queue {
    /// Gives a client its place: one that waits and may have another turn. Forgets one that has no turn and does not
    /// wait.
    fn enter(&mut self, client: ClientAddress, per_client: usize) {
        let Some(own) = self.clients.get_mut(&client) else { return };
        let old = own.place.take();
        if let Some(place) = old {
            self.waiting.remove(&place);
        }
        if own.waiting.is_empty() {
            if own.turns == 0 {
                self.clients.remove(&client);
            }
        } else if own.turns < per_client {
            let number = old.map_or(self.number, |place| place.number);
            self.number = self.number.max(number + 1);
            let place = Place { is_last: own.is_last, turns: own.turns, number };
            own.place = Some(place);
            self.waiting.insert(place, client);
        }
    }

    /// Takes the free place for the next one that has not been given up.
    fn next(&mut self, per_client: usize) -> Option<(ClientAddress, oneshot::Sender<Turn>)> {
        loop {
            let (_, client) = self.waiting.pop_first()?;
            let Some(own) = self.clients.get_mut(&client) else { continue };
            own.place = None;
            let mut waiting = std::iter::from_fn(|| own.waiting.pop_front());
            let next = waiting.find(|waiting| !waiting.is_closed());
            own.turns += usize::from(next.is_some());
            // Behind the others, if it waits for more.
            self.enter(client, per_client);
            if let Some(next) = next {
                self.free -= 1;
                return Some((client, next));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::task::Poll;

    use tokio::sync::mpsc;
    use tokio::task::{JoinHandle, yield_now};

    use super::*;

    fn client(number: u8) -> ClientAddress {
        ClientAddress::new([10, 0, 0, number].into())
    }

    /// Clients that ask for turns in an order, and what they are given in which order.
    struct Scene {
        turns: Arc<Turns>,
        given: mpsc::UnboundedReceiver<(u8, Turn)>,
        give: mpsc::UnboundedSender<(u8, Turn)>,
    }

    impl Scene {
        fn new(at_once: usize, per_client: usize) -> Self {
            let (give, given) = mpsc::unbounded_channel();
            Self { turns: Turns::new(at_once, per_client), given, give }
        }

        /// Asks for a turn, and lets the request get as far as it can.
        async fn ask(&self, number: u8, is_last: bool) -> JoinHandle<()> {
            let (turns, give) = (Arc::clone(&self.turns), self.give.clone());
            let task = tokio::spawn(async move {
                let turn = turns.take(client(number), is_last).await;
                give.send((number, turn)).unwrap();
            });
            yield_now().await;
            task
        }

        async fn ask_many(&self, numbers: &[u8]) {
            for number in numbers {
                drop(self.ask(*number, false).await);
            }
        }

        /// Who was given a turn and has not ended it.
        fn given(&mut self) -> Vec<(u8, Turn)> {
            std::iter::from_fn(|| self.given.try_recv().ok()).collect()
        }

        /// Ends each turn as soon as it is given, and returns who had them.
        async fn drain(&mut self) -> Vec<u8> {
            let mut order = Vec::new();
            loop {
                let Ok((number, turn)) = self.given.try_recv() else { return order };
                order.push(number);
                drop(turn);
                yield_now().await;
            }
        }

        fn is_empty(&self) -> bool {
            let queue = self.turns.queue();
            queue.clients.is_empty() && queue.waiting.is_empty()
        }
    }

    #[tokio::test]
    async fn one_request_of_each_client_comes_before_the_second_of_any() {
        let mut scene = Scene::new(1, 1);
        scene.ask_many(&[1, 1, 1, 1, 2, 2, 3]).await;
        assert_eq!(scene.drain().await, [1, 2, 3, 1, 2, 1, 1]);
        assert!(scene.is_empty());
        assert_eq!(scene.turns.queue().free, 1);
    }

    #[tokio::test]
    async fn a_client_has_a_bound_of_its_own() {
        let mut scene = Scene::new(3, 2);
        scene.ask_many(&[1, 1, 1, 2]).await;
        let mut given = scene.given();
        assert_eq!(given.iter().map(|(number, _)| *number).collect::<Vec<_>>(), [1, 1, 2]);
        // The second client's place is free, and the first one may not have it.
        drop(given.pop());
        yield_now().await;
        assert!(scene.given().is_empty());
        drop(given.pop());
        yield_now().await;
        assert_eq!(scene.given().len(), 1);
        drop(given);
        assert!(scene.is_empty());
        assert_eq!(scene.turns.queue().free, 3);
    }

    #[tokio::test]
    async fn a_client_with_fewer_turns_comes_before_those_with_more() {
        let mut scene = Scene::new(4, 3);
        scene.ask_many(&[1, 1, 2, 2]).await;
        scene.ask_many(&[1, 2, 3, 3]).await;
        let mut given = scene.given();
        // What the first client had goes to the one that has nothing, and then to who has the fewest.
        given.remove(0);
        yield_now().await;
        let next = scene.given();
        assert_eq!(next.iter().map(|(number, _)| *number).collect::<Vec<_>>(), [3]);
        given.remove(0);
        yield_now().await;
        let last = scene.given();
        assert_eq!(last.iter().map(|(number, _)| *number).collect::<Vec<_>>(), [1]);
        drop((given, next, last));
    }

    #[tokio::test]
    async fn some_clients_come_last() {
        let mut scene = Scene::new(1, 1);
        scene.ask_many(&[1]).await;
        for (number, is_last) in [(2, true), (2, true), (3, false), (4, true), (5, false)] {
            drop(scene.ask(number, is_last).await);
        }
        assert_eq!(scene.drain().await, [1, 3, 5, 2, 4, 2]);
    }

    #[tokio::test]
    async fn what_is_given_up_takes_no_turn() {
        let mut scene = Scene::new(1, 1);
        scene.ask_many(&[1]).await;
        let (second, third) = (scene.ask(2, false).await, scene.ask(3, false).await);
        drop(scene.ask(3, false).await);
        for task in [second, third] {
            task.abort();
            assert!(task.await.unwrap_err().is_cancelled());
        }
        assert_eq!(scene.drain().await, [1, 3]);
        assert!(scene.is_empty());
        // Also not where it is given up after it was given the turn, and before it could take it.
        scene.ask_many(&[1]).await;
        let second = scene.ask(2, false).await;
        drop(scene.given());
        second.abort();
        assert!(second.await.unwrap_err().is_cancelled());
        assert!(scene.is_empty());
        assert_eq!(scene.turns.queue().free, 1);
    }

    #[tokio::test]
    async fn work_that_waits_for_something_keeps_no_turn() {
        let turns = Turns::new(1, 1);
        let mut long = pin!(turns.begin(client(1), yield_now()));
        let is_pending = poll_fn(|context| Poll::Ready(long.as_mut().poll(context).is_pending()));
        assert!(is_pending.await);
        assert_eq!(turns.begin(client(1), async { 7 }).await, 7);
        long.await;
        assert_eq!(turns.queue().free, 1);
    }
}
