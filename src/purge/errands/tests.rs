use super::*;
use crate::observe::Observers;
use tokio::sync::mpsc::UnboundedReceiver;

/// Takes each purge at once, and is done with it at once.
struct Quick;

impl Edge for Quick {
    fn purge(&self, _: &EdgeSubject, _: Strength) -> EdgePurge {
        EdgePurge::new(async { Ok(()) }, async { Ok(()) })
    }
}

fn errands() -> (Arc<Errands>, UnboundedReceiver<Errand>) {
    let (errands, begun) = Errands::new(Arc::new(Quick), Observers::new().shared());
    (Arc::new(errands), begun)
}

fn note(n: u64) -> PurgeNote {
    PurgeNote {
        bucket: 0,
        field: b"*".to_vec(),
        value: format!("1|{n}|H").into_bytes(),
    }
}

fn free(errands: &Errands, n: u64) -> bool {
    !errands.unattended(vec![note(n)]).is_empty()
}

/// The end of a purge and the removal of its note are two steps: a look in between took the note for nobody's.
#[tokio::test]
async fn a_note_is_seen_to_until_it_is_forgotten_also_by_a_look_that_began_before() {
    let (errands, mut begun) = errands();
    assert!(free(&errands, 1));
    errands.hand_over(EdgeSubject::Everything, Strength::Hard, vec![note(1)]);
    assert!(!free(&errands, 1) && free(&errands, 2));

    let errand = begun.recv().await.unwrap();
    let done = errand.follow(Arc::clone(&errands)).await;
    assert_eq!((done.len(), errands.unfinished()), (1, 1));
    assert!(!free(&errands, 1));

    errands.look();
    errands.forgotten(&done);
    assert!(!free(&errands, 1));
    assert_eq!(errands.unfinished(), 0);
    errands.look();
    assert!(free(&errands, 1));
}

#[tokio::test]
async fn a_later_purge_of_a_name_speaks_for_the_earlier_note() {
    let (errands, mut begun) = errands();
    let first = errands.hand_over(EdgeSubject::Everything, Strength::Hard, vec![note(1)]);
    errands.hand_over(EdgeSubject::Everything, Strength::Hard, vec![note(2)]);
    let (early, late) = (begun.recv().await.unwrap(), begun.recv().await.unwrap());

    let done = late.follow(Arc::clone(&errands)).await;

    assert_eq!(done, [note(2)]);
    assert!(matches!(*first.borrow(), Some(Ok(()))));
    assert!(early.follow(Arc::clone(&errands)).await.is_empty());
}

#[tokio::test]
async fn a_soft_purge_does_not_speak_for_the_note_of_a_hard_one() {
    let (errands, mut begun) = errands();
    let other = PurgeNote {
        bucket: 1,
        ..note(1)
    };
    errands.hand_over(EdgeSubject::Everything, Strength::Hard, vec![other.clone()]);
    errands.hand_over(EdgeSubject::Everything, Strength::Soft, vec![note(2)]);
    let (_early, late) = (begun.recv().await.unwrap(), begun.recv().await.unwrap());

    assert_eq!(late.follow(Arc::clone(&errands)).await, [note(2)]);
    assert_eq!(errands.unattended(vec![other.clone()]), [other]);
}
