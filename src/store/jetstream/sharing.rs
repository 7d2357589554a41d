//! Values that all nodes share and each keeps in its own data folder: the keys.
pub struct KeysFile;
