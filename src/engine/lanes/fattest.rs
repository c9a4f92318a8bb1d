//! Which lane holds most: a heap that knows where each lane stands in it.
//!
//! A lane that has got a little more or less is compared with its neighbours, and as a rule stays where
//! it is. Among equals the one that comes first is whichever the same calls have left there.
//!
//! Invariant: no lane holds more than its parent, the one at half its index.

/// Not in the heap.
const NOWHERE: u32 = u32::MAX;

#[derive(Debug, Default)]
pub(super) struct Fattest {
    /// Bytes, and the lane that holds them.
    heap: Vec<(u64, u32)>,
    /// Where each lane is in the heap.
    places: Vec<u32>,
}

impl Fattest {
    /// The lane that holds most.
    pub(super) fn first(&self) -> Option<u32> {
        self.heap.first().map(|(_, lane)| *lane)
    }

    #[cfg(test)]
    pub(super) fn memory(&self) -> usize {
        self.heap.capacity() * size_of::<(u64, u32)>() + self.places.capacity() * size_of::<u32>()
    }

    /// The lane holds this much.
    pub(super) fn set(&mut self, lane: u32, bytes: u64) {
        let index = lane as usize;
        if index >= self.places.len() {
            self.places.resize(index + 1, NOWHERE);
        }
        let place = match self.places[index] {
            NOWHERE => {
                self.heap.push((bytes, lane));
                self.heap.len() - 1
            }
            place => place as usize,
        };
        self.settle(place, (bytes, lane));
    }

    /// The lane is not to be chosen.
    pub(super) fn remove(&mut self, lane: u32) {
        let Some(place) = self.places.get_mut(lane as usize) else {
            return;
        };
        if *place == NOWHERE {
            return;
        }
        let place = std::mem::replace(place, NOWHERE) as usize;
        if let Some(last) = self.heap.pop()
            && place < self.heap.len()
        {
            self.settle(place, last);
        }
    }

    /// Puts an item where it belongs, from `place` on.
    fn settle(&mut self, mut place: usize, item: (u64, u32)) {
        while let Some(parent) = place.checked_sub(1).map(|n| n / 2)
            && self.heap[parent].0 < item.0
        {
            self.put(place, self.heap[parent]);
            place = parent;
        }
        loop {
            let (left, right) = (2 * place + 1, 2 * place + 2);
            let bytes = |n: usize| self.heap.get(n).map_or(0, |(bytes, _)| *bytes);
            let child = if bytes(right) > bytes(left) {
                right
            } else {
                left
            };
            if bytes(child) <= item.0 {
                break;
            }
            self.put(place, self.heap[child]);
            place = child;
        }
        self.put(place, item);
    }

    fn put(&mut self, place: usize, item: (u64, u32)) {
        self.heap[place] = item;
        self.places[item.1 as usize] = place as u32;
    }
}
