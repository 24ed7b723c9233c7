//! Ordering of short lists.

use std::cmp::Ordering;

/// The items in the order of `compare`; equal ones keep their order.
///
/// By binary insertion: lists here hold a few dozen items, and the standard sort
/// would be half of the guest's code, once for every type.
#[must_use]
pub fn ordered<T>(items: impl Iterator<Item = T>, compare: impl Fn(&T, &T) -> Ordering) -> Vec<T> {
    let mut list = Vec::new();
    for item in items {
        let place = list.partition_point(|placed| compare(placed, &item) != Ordering::Greater);
        list.insert(place, item);
    }
    list
}
