//! The open WebSockets: how many there may be, and which one makes room for another.
//!
//! A client that opens many must not leave none for others. So each address has a bound; and when all seats are
//! taken, a socket of the address with the most sockets makes room. Idle sockets, which subscribe to nothing,
//! go first.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::{Instant, timeout};

use crate::client_address::ClientAddress;

/// The most WebSockets at once.
const SOCKETS_MAX: usize = 512;
/// The most WebSockets of one address at once.
const SOCKETS_PER_ADDRESS_MAX: usize = 128;
/// How long a new client may take to subscribe before its socket counts as idle.
const IDLE_AFTER: Duration = Duration::from_secs(10);
/// How long a new socket waits for the one that makes room. That one has a second to say goodbye.
const ROOM_TIMEOUT: Duration = Duration::from_secs(10);

/// Why a WebSocket was refused.
#[derive(Debug, PartialEq, Eq)]
pub enum Refused {
    /// The address has all that it may have.
    Address,
    /// All seats are taken, by addresses that have no more than this one.
    All,
}

impl Refused {
    pub fn message(&self) -> String {
        match self {
            Self::Address => format!(
                "{SOCKETS_PER_ADDRESS_MAX} WebSockets of this address are open; close one first, or subscribe to several channels on one"
            ),
            Self::All => format!(
                "all {SOCKETS_MAX} WebSockets of this replica are in use; use another replica"
            ),
        }
    }
}

/// All open WebSockets.
#[derive(Debug)]
pub struct Sockets {
    seats: Arc<Semaphore>,
    list: Mutex<List>,
}

/// The sockets by number, so that the oldest are first. One that was told to make room is not among them.
#[derive(Debug, Default)]
struct List {
    open: BTreeMap<u64, Open>,
    next: u64,
}

#[derive(Debug)]
struct Open {
    address: ClientAddress,
    opened: Instant,
    has_channels: bool,
    /// Tells the socket to make room. None while the socket itself waits for room.
    make_room: Option<oneshot::Sender<()>>,
}

/// The right to have one WebSocket open.
#[derive(Debug)]
pub struct Seat {
    sockets: Arc<Sockets>,
    number: u64,
    permit: Option<OwnedSemaphorePermit>,
}

/// Resolves when a socket has to make room for another one.
pub type MakeRoom = oneshot::Receiver<()>;

impl Sockets {
    pub fn new() -> Arc<Self> {
        Arc::new(Self { seats: Arc::new(Semaphore::new(SOCKETS_MAX)), list: Mutex::default() })
    }

    /// A seat for a new socket. If there is none, another socket is told to make room, and this waits for it.
    pub async fn seat(
        self: &Arc<Self>,
        address: ClientAddress,
    ) -> Result<(Seat, MakeRoom), Refused> {
        let (sender, make_room) = oneshot::channel();
        let (number, permit) = self.enter(address)?;
        // Made before the wait: dropping it takes the socket off the list again.
        let mut seat = Seat { sockets: Arc::clone(self), number, permit };
        if seat.permit.is_none() {
            let waiting = Arc::clone(&self.seats).acquire_owned();
            // Fails only by the timeout: nobody closes the semaphore.
            let Ok(Ok(permit)) = timeout(ROOM_TIMEOUT, waiting).await else {
                return Err(Refused::All);
            };
            seat.permit = Some(permit);
        }
        if let Some(own) = self.lock().open.get_mut(&number) {
            own.make_room = Some(sender);
        }
        Ok((seat, make_room))
    }

    /// Puts a new socket on the list, with a permit if one is free, and tells another one to make room if not.
    fn enter(
        &self,
        address: ClientAddress,
    ) -> Result<(u64, Option<OwnedSemaphorePermit>), Refused> {
        let mut list = self.lock();
        let own = list.open.values().filter(|socket| socket.address == address).count();
        let is_full = own >= SOCKETS_PER_ADDRESS_MAX;
        if is_full {
            let idle = list.first(|socket| socket.address == address && socket.is_idle());
            list.remove(idle.ok_or(Refused::Address)?);
        }
        let permit = Arc::clone(&self.seats).try_acquire_owned().ok();
        if permit.is_none() && !is_full {
            let victim = list.to_make_room(own).ok_or(Refused::All)?;
            list.remove(victim);
        }
        let number = list.next;
        list.next += 1;
        let socket = Open { address, opened: Instant::now(), has_channels: false, make_room: None };
        list.open.insert(number, socket);
        Ok((number, permit))
    }

    /// Waits until all sockets are closed. No new one gets a seat then.
    pub async fn all_closed(&self) {
        let all = u32::try_from(SOCKETS_MAX).unwrap_or(u32::MAX);
        // The permits stay taken. It fails only if the semaphore is closed.
        if let Ok(permits) = self.seats.acquire_many(all).await {
            permits.forget();
        }
    }

    fn lock(&self) -> MutexGuard<'_, List> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Open {
    fn is_idle(&self) -> bool {
        // One that waits for room has no seat to give.
        self.make_room.is_some() && !self.has_channels && self.opened.elapsed() > IDLE_AFTER
    }
}

impl List {
    /// The oldest socket of a kind.
    fn first(&self, is_wanted: impl Fn(&Open) -> bool) -> Option<u64> {
        self.open.iter().find(|(_, socket)| is_wanted(socket)).map(|(number, _)| *number)
    }

    /// Which socket makes room for one of an address that has `own` others.
    fn to_make_room(&self, own: usize) -> Option<u64> {
        let mut counts: HashMap<ClientAddress, usize> = HashMap::new();
        for socket in self.open.values().filter(|socket| socket.make_room.is_some()) {
            *counts.entry(socket.address).or_default() += 1;
        }
        let most = counts.into_iter().max_by_key(|(_, count)| *count);
        // Not from an address that would then have fewer than the new one: two clients would take each
        // other's place for ever.
        if let Some((address, count)) = most
            && count > own + 1
        {
            let of_address =
                |socket: &Open| socket.address == address && socket.make_room.is_some();
            return self
                .first(|socket| of_address(socket) && !socket.has_channels)
                .or_else(|| self.first(of_address));
        }
        self.first(Open::is_idle)
    }

    fn remove(&mut self, number: u64) {
        if let Some(make_room) = self.open.remove(&number).and_then(|socket| socket.make_room) {
            // Fails if the socket has closed by itself.
            let _ = make_room.send(());
        }
    }
}

impl Seat {
    /// Notes whether the socket subscribes to anything.
    pub fn set_has_channels(&self, has_channels: bool) {
        if let Some(own) = self.sockets.lock().open.get_mut(&self.number) {
            own.has_channels = has_channels;
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.sockets.lock().open.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(number: u8) -> ClientAddress {
        ClientAddress::new([10, 0, 0, number].into())
    }

    async fn many(sockets: &Arc<Sockets>, number: u8, count: usize) -> Vec<(Seat, MakeRoom)> {
        let mut seats = Vec::new();
        for _ in 0..count {
            let seat = sockets.seat(address(number)).await.unwrap();
            seat.0.set_has_channels(true);
            seats.push(seat);
        }
        seats
    }

    /// The positions of the seats that were told to make room.
    fn told(seats: &mut [(Seat, MakeRoom)]) -> Vec<usize> {
        let told = seats.iter_mut().map(|(_, make_room)| make_room.try_recv().is_ok());
        told.enumerate().filter_map(|(position, is_told)| is_told.then_some(position)).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn an_address_has_a_bound_of_its_own() {
        let sockets = Sockets::new();
        let mut seats = many(&sockets, 1, SOCKETS_PER_ADDRESS_MAX).await;
        assert_eq!(sockets.seat(address(1)).await.unwrap_err(), Refused::Address);
        assert!(sockets.seat(address(2)).await.is_ok());
        // A new socket has a moment to subscribe.
        seats[7].0.set_has_channels(false);
        seats[5].0.set_has_channels(false);
        tokio::time::advance(IDLE_AFTER * 2).await;
        let newer = sockets.seat(address(1)).await.unwrap();
        assert_eq!(told(&mut seats), [5]);
        drop((newer, seats));
        assert!(sockets.lock().open.is_empty());
    }

    /// Waits until one of the seats was told to make room, and returns its position.
    async fn next_told(seats: &mut [(Seat, MakeRoom)]) -> usize {
        loop {
            if let [position] = told(seats)[..] {
                return position;
            }
            tokio::task::yield_now().await;
        }
    }

    fn ask(
        sockets: &Arc<Sockets>,
        number: u8,
    ) -> tokio::task::JoinHandle<Result<(Seat, MakeRoom), Refused>> {
        let sockets = Arc::clone(sockets);
        tokio::spawn(async move { sockets.seat(address(number)).await })
    }

    #[tokio::test(start_paused = true)]
    async fn the_address_with_the_most_sockets_makes_room() {
        let sockets = Sockets::new();
        let mut seats = many(&sockets, 1, 100).await;
        seats.extend(many(&sockets, 2, SOCKETS_PER_ADDRESS_MAX).await);
        for (number, count) in [(3, 95), (4, 95), (5, 94)] {
            seats.extend(many(&sockets, number, count).await);
        }
        let waiting = ask(&sockets, 5);
        // The oldest of the second address.
        assert_eq!(next_told(&mut seats).await, 100);
        assert!(!waiting.is_finished());
        drop(seats.remove(100));
        seats.push(waiting.await.unwrap().unwrap());
        // Of the same address, the oldest that subscribes to nothing goes before the oldest.
        seats[150].0.set_has_channels(false);
        let waiting = ask(&sockets, 9);
        assert_eq!(next_told(&mut seats).await, 150);
        drop(seats.remove(150));
        assert!(waiting.await.unwrap().is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn clients_with_one_socket_each_do_not_take_each_others_place() {
        let sockets = Sockets::new();
        let mut seats = Vec::new();
        for number in 0..SOCKETS_MAX {
            let [high, low] = u16::try_from(number).unwrap().to_be_bytes();
            let seat = sockets.seat(ClientAddress::new([10, 1, high, low].into())).await.unwrap();
            seat.0.set_has_channels(true);
            seats.push(seat);
        }
        assert_eq!(sockets.seat(address(1)).await.unwrap_err(), Refused::All);
        seats[3].0.set_has_channels(false);
        tokio::time::advance(IDLE_AFTER * 2).await;
        // It does not make room in time.
        assert_eq!(sockets.seat(address(1)).await.unwrap_err(), Refused::All);
        assert_eq!(told(&mut seats), [3]);
    }
}
