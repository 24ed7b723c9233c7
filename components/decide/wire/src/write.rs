//! From records to JSON, by the rules in `lib.rs`.

use std::fmt::Display;

use serde::ser::{self, Impossible, Serialize, Serializer};

use crate::error::Error;
use crate::name::json_name;

/// Writes a value as JSON.
pub(crate) fn write<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>, Error> {
    let mut out = Vec::new();
    let writer = Writer {
        out: &mut out,
        member: false,
    };
    value
        .serialize(writer)
        .map_err(|Fault(why)| Error::Unwritable(why))?;
    Ok(out)
}

#[derive(Debug)]
struct Fault(String);

impl Display for Fault {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        to.write_str(&self.0)
    }
}

impl std::error::Error for Fault {}

impl ser::Error for Fault {
    fn custom<T: Display>(message: T) -> Self {
        Self(message.to_string())
    }
}

/// Whether anything was written: a member that is none is not.
#[derive(Debug, PartialEq)]
enum Done {
    Written,
    LeftOut,
}

struct Writer<'a> {
    out: &'a mut Vec<u8>,
    /// Whether the value is a member of a record.
    member: bool,
}

impl<'a> Writer<'a> {
    /// A number, truth or text in the words of serde_json.
    fn plain<T: Serialize + ?Sized>(self, value: &T) -> Result<Done, Fault> {
        serde_json::to_writer(self.out, value).map_err(ser::Error::custom)?;
        Ok(Done::Written)
    }

    fn open(self, opening: &[u8], closing: &'static [u8]) -> Compound<'a> {
        self.out.extend_from_slice(opening);
        Compound {
            out: self.out,
            empty: true,
            closing,
        }
    }

    /// `{"name":`
    fn open_case(&mut self, variant: &str) -> Result<(), Fault> {
        self.out.push(b'{');
        name(self.out, variant)
    }
}

fn name(out: &mut Vec<u8>, rust: &str) -> Result<(), Fault> {
    serde_json::to_writer(&mut *out, &json_name(rust)).map_err(ser::Error::custom)?;
    out.push(b':');
    Ok(())
}

fn no_record_has(what: &str) -> Fault {
    Fault(format!("no record has {what}"))
}

/// Numbers, truths and texts.
macro_rules! plain {
    ($($method:ident: $type:ty,)*) => {$(
        fn $method(self, value: $type) -> Result<Done, Fault> {
            self.plain(&value)
        }
    )*};
}

impl<'a> Serializer for Writer<'a> {
    type Ok = Done;
    type Error = Fault;
    type SerializeSeq = Compound<'a>;
    type SerializeTuple = Compound<'a>;
    type SerializeTupleStruct = Impossible<Done, Fault>;
    type SerializeTupleVariant = Impossible<Done, Fault>;
    type SerializeMap = Impossible<Done, Fault>;
    type SerializeStruct = Compound<'a>;
    type SerializeStructVariant = Compound<'a>;

    plain! {
        serialize_bool: bool,
        serialize_i8: i8, serialize_i16: i16, serialize_i32: i32, serialize_i64: i64,
        serialize_u8: u8, serialize_u16: u16, serialize_u32: u32, serialize_u64: u64,
        serialize_char: char, serialize_str: &str,
    }

    fn serialize_f32(self, number: f32) -> Result<Done, Fault> {
        // The fewest digits that tell it apart are read as 64 bits and then cut to
        // 32: twice rounded, which in one case of a thousand million is another
        // number. All its digits then.
        let read = number.to_string().parse::<f64>();
        if number.is_finite() && read.is_ok_and(|wide| wide as f32 == number) {
            return self.plain(&number);
        }
        self.serialize_f64(number.into())
    }

    fn serialize_f64(self, number: f64) -> Result<Done, Fault> {
        if number.is_finite() {
            return self.plain(&number);
        }
        Err(Fault(format!("{number} is no number of JSON")))
    }

    fn serialize_bytes(self, _bytes: &[u8]) -> Result<Done, Fault> {
        Err(no_record_has("bytes"))
    }

    fn serialize_none(self) -> Result<Done, Fault> {
        if self.member {
            return Ok(Done::LeftOut);
        }
        self.serialize_unit()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<Done, Fault> {
        value.serialize(Writer {
            out: self.out,
            member: false,
        })
    }

    fn serialize_unit(self) -> Result<Done, Fault> {
        self.out.extend_from_slice(b"null");
        Ok(Done::Written)
    }

    fn serialize_unit_struct(self, _name: &'static str) -> Result<Done, Fault> {
        self.serialize_unit()
    }

    fn serialize_unit_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
    ) -> Result<Done, Fault> {
        self.plain(&json_name(variant))
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        value: &T,
    ) -> Result<Done, Fault> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        mut self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<Done, Fault> {
        self.open_case(variant)?;
        value.serialize(Writer {
            out: &mut *self.out,
            member: false,
        })?;
        self.out.push(b'}');
        Ok(Done::Written)
    }

    fn serialize_seq(self, _len: Option<usize>) -> Result<Compound<'a>, Fault> {
        Ok(self.open(b"[", b"]"))
    }

    fn serialize_tuple(self, _len: usize) -> Result<Compound<'a>, Fault> {
        Ok(self.open(b"[", b"]"))
    }

    fn serialize_tuple_struct(
        self,
        _name: &'static str,
        _len: usize,
    ) -> Result<Self::SerializeTupleStruct, Fault> {
        Err(no_record_has("fields without names"))
    }

    fn serialize_tuple_variant(
        self,
        _name: &'static str,
        _index: u32,
        _variant: &'static str,
        _len: usize,
    ) -> Result<Self::SerializeTupleVariant, Fault> {
        Err(no_record_has("fields without names"))
    }

    fn serialize_map(self, _len: Option<usize>) -> Result<Self::SerializeMap, Fault> {
        Err(no_record_has("a map"))
    }

    fn serialize_struct(self, _name: &'static str, _len: usize) -> Result<Compound<'a>, Fault> {
        Ok(self.open(b"{", b"}"))
    }

    fn serialize_struct_variant(
        mut self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        _len: usize,
    ) -> Result<Compound<'a>, Fault> {
        self.open_case(variant)?;
        Ok(self.open(b"{", b"}}"))
    }
}

/// A list or object that is being written.
struct Compound<'a> {
    out: &'a mut Vec<u8>,
    empty: bool,
    closing: &'static [u8],
}

impl Compound<'_> {
    fn separate(&mut self) {
        if !self.empty {
            self.out.push(b',');
        }
        self.empty = false;
    }

    fn item<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Fault> {
        self.separate();
        value.serialize(Writer {
            out: &mut *self.out,
            member: false,
        })?;
        Ok(())
    }

    fn member<T: Serialize + ?Sized>(&mut self, field: &str, value: &T) -> Result<(), Fault> {
        let (begin, was_empty) = (self.out.len(), self.empty);
        self.separate();
        name(self.out, field)?;
        let done = value.serialize(Writer {
            out: &mut *self.out,
            member: true,
        })?;
        if done == Done::LeftOut {
            self.out.truncate(begin);
            self.empty = was_empty;
        }
        Ok(())
    }

    fn close(self) -> Done {
        self.out.extend_from_slice(self.closing);
        Done::Written
    }
}

impl ser::SerializeSeq for Compound<'_> {
    type Ok = Done;
    type Error = Fault;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Fault> {
        self.item(value)
    }

    fn end(self) -> Result<Done, Fault> {
        Ok(self.close())
    }
}

impl ser::SerializeTuple for Compound<'_> {
    type Ok = Done;
    type Error = Fault;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Fault> {
        self.item(value)
    }

    fn end(self) -> Result<Done, Fault> {
        Ok(self.close())
    }
}

impl ser::SerializeStruct for Compound<'_> {
    type Ok = Done;
    type Error = Fault;

    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        field: &'static str,
        value: &T,
    ) -> Result<(), Fault> {
        self.member(field, value)
    }

    fn end(self) -> Result<Done, Fault> {
        Ok(self.close())
    }
}

impl ser::SerializeStructVariant for Compound<'_> {
    type Ok = Done;
    type Error = Fault;

    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        field: &'static str,
        value: &T,
    ) -> Result<(), Fault> {
        self.member(field, value)
    }

    fn end(self) -> Result<Done, Fault> {
        Ok(self.close())
    }
}
