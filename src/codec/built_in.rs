//! The codecs that come with tricache, by their ids.
//!
//! All of them answer false to `is_human_readable`, so a type has one form and one fingerprint in all of them. A cache
//! with one of them therefore reads what the others wrote, and a fleet can change its codec node by node.

use serde::de::DeserializeOwned;

use crate::codec::{Bincode, Codec, DecodeError, bincode};
#[cfg(feature = "messagepack")]
use crate::codec::{MessagePack, messagepack};
#[cfg(feature = "postcard")]
use crate::codec::{Postcard, postcard};

/// Reads what the built-in codec of this id wrote; `None` if there is none of that id in this build.
pub(super) fn decode<V: DeserializeOwned>(id: u8, bytes: &[u8]) -> Option<Result<V, DecodeError>> {
    match id {
        bincode::ID => Some(Bincode.decode(bytes)),
        #[cfg(feature = "postcard")]
        postcard::ID => Some(Postcard.decode(bytes)),
        #[cfg(feature = "messagepack")]
        messagepack::ID => Some(MessagePack.decode(bytes)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::{Of, ValueCodec};
    use serde::Serialize;

    type Value = (u64, Vec<Option<String>>);

    fn value() -> Value {
        (42, vec![None, Some("lamp".to_owned())])
    }

    fn all() -> Vec<Box<dyn ValueCodec<Value>>> {
        vec![
            Box::new(Of(Bincode)),
            #[cfg(feature = "postcard")]
            Box::new(Of(Postcard)),
            #[cfg(feature = "messagepack")]
            Box::new(Of(MessagePack)),
        ]
    }

    #[test]
    fn each_reads_what_each_wrote() {
        for writer in all() {
            let mut bytes = Vec::new();
            writer.encode(&value(), 100, &mut bytes).unwrap();
            for reader in all() {
                assert_eq!(reader.decode(writer.id(), &bytes).unwrap(), value());
                assert_eq!(reader.fingerprint().unwrap(), writer.fingerprint().unwrap());
            }
        }
    }

    #[test]
    fn an_id_of_nobody_is_another_codec() {
        for reader in all() {
            for id in [0, 4, 127, 128, 255] {
                assert!(reader.decode(id, b"").unwrap_err().is_other_codec());
            }
        }
    }

    /// What a user brings: bincode's bytes under another id, and in the form that it asks for.
    struct Own {
        human_readable: bool,
    }

    impl Codec for Own {
        fn id(&self) -> u8 {
            200
        }

        fn is_human_readable(&self) -> bool {
            self.human_readable
        }

        fn is_positional(&self) -> bool {
            true
        }

        fn encode<V: Serialize + ?Sized>(
            &self,
            value: &V,
            out: &mut Vec<u8>,
        ) -> Result<(), crate::codec::EncodeError> {
            Bincode.encode(value, out)
        }

        fn decode<V: DeserializeOwned>(&self, bytes: &[u8]) -> Result<V, DecodeError> {
            Bincode.decode(bytes)
        }
    }

    #[test]
    fn a_codec_of_the_users_reads_the_built_in_ones_if_it_asks_for_their_form() {
        let mut bytes = Vec::new();
        Bincode.encode(&value(), &mut bytes).unwrap();
        let read = |human_readable| {
            ValueCodec::<Value>::decode(&Of(Own { human_readable }), bincode::ID, &bytes)
        };

        assert_eq!(read(false).unwrap(), value());
        assert!(read(true).unwrap_err().is_other_codec());
    }

    #[test]
    fn a_codec_without_a_limit_of_its_own_is_held_to_the_caches() {
        let own = Of(Own {
            human_readable: false,
        });
        let error = own.encode(&value(), 5, &mut Vec::new()).unwrap_err();

        assert!(error.is_too_large());
    }
}
