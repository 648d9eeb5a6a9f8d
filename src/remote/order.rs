//! What a pointer says of the store's own versions, step for step as `scripts/bump.lua` and `fill.lua` have it.

use super::Order;
use crate::model::{Event, Pointer, StoreVersion, Version};

/// What became of a bump.
pub(super) struct Done {
    pub(super) version: Version,
    /// `None`: nothing was bumped.
    pub(super) event: Option<Event>,
    pub(super) depended: bool,
    pub(super) order: Order,
}

pub(super) fn bare(version: Version) -> Pointer {
    Pointer {
        version,
        floor: version,
        flags: 0,
        store: None,
    }
}

/// What a load has told of the store's version.
pub(super) fn learned(pointer: Pointer, store: Option<StoreVersion>) -> Pointer {
    if store.is_none() || store == pointer.store {
        return pointer;
    }
    Pointer {
        store,
        flags: pointer.flags & !Pointer::STORE_BUMPED,
        ..pointer
    }
}

pub(super) type Ordered = (Option<StoreVersion>, u32, Order);

/// What the pointer says of the store after a bump with `store`; `Err` with the pointer if nothing is to be bumped.
pub(super) fn ordered(
    before: Option<Pointer>,
    store: Option<StoreVersion>,
) -> Result<Ordered, Pointer> {
    let Some(before) = before else {
        return Ok((None, 0, Order::Unknown));
    };
    match (store, before.store) {
        (Some(store), Some(known)) if store > known => {
            Ok((Some(store), Pointer::STORE_BUMPED, Order::Newest))
        }
        (Some(_), Some(_)) if before.has(Pointer::STORE_BUMPED) => Err(before),
        (Some(_), known @ Some(_)) => Ok((known, Pointer::STORE_BUMPED, Order::Unknown)),
        _ => Ok((None, 0, Order::Unknown)),
    }
}
