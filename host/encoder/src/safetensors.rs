//! The published weights: named float tensors in a safetensors file.

use safetensors::{Dtype, SafeTensors};

use crate::error::Error;

/// A safetensors file's table of tensors, over the file's borrowed bytes.
pub(crate) struct Weights<'a> {
    tensors: SafeTensors<'a>,
}

impl<'a> Weights<'a> {
    /// Reads and checks the table.
    ///
    /// # Errors
    /// [`Error::Weights`] when the bytes are not a safetensors file.
    pub(crate) fn parse(bytes: &'a [u8]) -> Result<Weights<'a>, Error> {
        let tensors = SafeTensors::deserialize(bytes).map_err(|error| Error::Weights {
            problem: error.to_string(),
        })?;
        Ok(Weights { tensors })
    }

    /// Whether there is a tensor of that name.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.tensors.tensor(name).is_ok()
    }

    /// Length of the tensor's first axis.
    ///
    /// # Errors
    /// [`Error::Tensor`] when it is absent or a single number.
    pub(crate) fn rows(&self, name: &str) -> Result<usize, Error> {
        let tensor = self.tensors.tensor(name).map_err(|_| absent(name))?;
        tensor
            .shape()
            .first()
            .copied()
            .ok_or_else(|| misshapen(name, &[], &[0]))
    }

    /// The tensor's values, the last axis running fastest.
    ///
    /// # Errors
    /// [`Error::Tensor`] when it is absent, is not of 32-bit floats, has another shape, or holds
    /// a value that is not finite.
    pub(crate) fn floats(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, Error> {
        let tensor = self.tensors.tensor(name).map_err(|_| absent(name))?;
        if tensor.dtype() != Dtype::F32 {
            return Err(Error::Tensor {
                name: name.to_owned(),
                problem: format!("holds {:?}, it has to hold F32", tensor.dtype()),
            });
        }
        if tensor.shape() != shape {
            return Err(misshapen(name, tensor.shape(), shape));
        }
        let (values, _) = tensor.data().as_chunks::<4>();
        let values: Vec<f32> = values
            .iter()
            .map(|bytes| f32::from_le_bytes(*bytes))
            .collect();
        if values.iter().any(|value| !value.is_finite()) {
            return Err(Error::Tensor {
                name: name.to_owned(),
                problem: "holds a value that is not finite".to_owned(),
            });
        }
        Ok(values)
    }
}

fn absent(name: &str) -> Error {
    Error::Tensor {
        name: name.to_owned(),
        problem: "is absent; give the model.safetensors of all-MiniLM-L6-v2".to_owned(),
    }
}

fn misshapen(name: &str, found: &[usize], wanted: &[usize]) -> Error {
    Error::Tensor {
        name: name.to_owned(),
        problem: format!("has shape {found:?}, it has to be {wanted:?}"),
    }
}
