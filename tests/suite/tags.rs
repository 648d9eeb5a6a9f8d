//! Tags, clears, absences, nested loads, ordered and pinned versions: what makes a value old beside its own key.

mod absences;
mod crossings;
mod joined;
mod labelled;
mod many;
mod nested;
mod ordered;
mod outages;
mod spare;
mod values;
mod wipes;
