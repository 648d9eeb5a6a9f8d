//! Servers that follow each other: who is in charge, what each of them holds, and how that changes.

/// How many there are.
pub(super) const SERVERS: usize = 4;

/// A master, two replicas that may be promoted, and a server that may take the first one's place.
#[derive(Clone, Debug, Hash, PartialEq, Eq)]
pub(super) struct Group {
    pub(super) servers: [Server; SERVERS],
    /// Who was promoted last: the others are told to follow it, sooner or later.
    latest: usize,
    promotions: u8,
}

/// One server, and what it holds.
#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq)]
pub(super) struct Server {
    pub(super) role: Role,
    /// The id of its history: that of its master, and a new one when it is promoted.
    pub(super) id: u8,
    pub(super) data: Data,
}

#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq)]
pub(super) enum Role {
    Master,
    Follows(usize),
    /// Not here yet.
    Away,
}

/// The records of one entity, as far as they can do harm.
#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq)]
pub(super) struct Data {
    /// On whose history its epoch began.
    pub(super) owner: u8,
    /// A value of the row from before the commit stands here under the version of the pointer.
    pub(super) old: bool,
    /// The version under which a load of that row is under way is still the pointer's.
    pub(super) open: bool,
}

impl Data {
    /// A version that no value and no load has.
    pub(super) fn replace_version(&mut self) {
        (self.old, self.open) = (false, false);
    }
}

impl Server {
    pub(super) fn is_master(self) -> bool {
        self.role == Role::Master
    }
}

/// What a server does, what the group is then, and whose beats it has confirmed by it.
pub(super) type Change = (&'static str, Group, Option<usize>);

impl Group {
    /// All hold the same value.
    pub(super) fn in_step() -> Self {
        let data = Data {
            owner: 0,
            old: true,
            open: false,
        };
        let server = |role| Server { role, id: 0, data };
        let follows = server(Role::Follows(MASTER));
        Self {
            servers: [server(Role::Master), follows, follows, server(Role::Away)],
            latest: MASTER,
            promotions: 0,
        }
    }

    /// Everything that may happen to this server next.
    pub(super) fn changes(&self, number: usize) -> Vec<Change> {
        let changes = [
            self.replicated(number),
            self.promoted(number),
            self.told_to_follow(number),
            self.taken_in(number),
        ];
        changes.into_iter().flatten().collect()
    }

    fn replicated(&self, number: usize) -> Option<Change> {
        let Role::Follows(master) = self.servers[number].role else {
            return None;
        };
        let mut next = self.clone();
        next.copy(number, master);
        Some(("gets what its master has", next, Some(master)))
    }

    fn copy(&mut self, number: usize, master: usize) {
        let Server { id, data, .. } = self.servers[master];
        let server = &mut self.servers[number];
        (server.id, server.data) = (id, data);
    }

    /// The first time it is the first replica: the other one is like it.
    fn promoted(&self, number: usize) -> Option<Change> {
        let Role::Follows(_) = self.servers[number].role else {
            return None;
        };
        let first = self.promotions == 0 && number != REPLICA;
        if first || self.promotions == PROMOTIONS {
            return None;
        }
        let mut next = self.clone();
        next.promotions += 1;
        next.latest = number;
        next.servers[number].role = Role::Master;
        next.servers[number].id = next.promotions;
        Some(("is promoted", next, None))
    }

    fn told_to_follow(&self, number: usize) -> Option<Change> {
        let Server { role, .. } = self.servers[number];
        let there = role == Role::Follows(self.latest) || number == self.latest;
        if there || role == Role::Away || self.has_lost(number) {
            return None;
        }
        let mut next = self.clone();
        next.servers[number].role = Role::Follows(self.latest);
        Some(("follows whoever was promoted last", next, None))
    }

    /// The first master has not come back, and a new server takes its place, with all data of its master.
    fn taken_in(&self, number: usize) -> Option<Change> {
        let gone = self.latest != MASTER && self.servers[MASTER].is_master();
        if self.servers[number].role != Role::Away || !gone {
            return None;
        }
        let mut next = self.clone();
        next.servers[number].role = Role::Follows(self.latest);
        next.copy(number, self.latest);
        Some(("takes the old master's place", next, None))
    }

    /// Whether this is the old master, whose place is taken: it is never told of anything any more.
    fn has_lost(&self, number: usize) -> bool {
        number == MASTER && self.servers[NEWCOMER].role != Role::Away
    }
}

const MASTER: usize = 0;
const REPLICA: usize = 1;
const NEWCOMER: usize = 3;
const PROMOTIONS: u8 = 2;
