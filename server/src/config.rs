//! The data directory of a replica: genesis, keys and the other files, created at the first start.
//!
//! Files are written whole: to a temporary file beside the target, synced, then renamed, so that a crash
//! leaves the old file or the new one.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use thiserror::Error;
use zellbook_core::rules::{GenesisError, ReplicaSpec};
use zellbook_core::{Decimal, Genesis, PublicKey, Rules, SecretKey};
use zellular::bls::BlsSecretKey;
use zeroize::Zeroizing;

/// Why a data directory or a file of the operator cannot be used.
#[derive(Debug, Error)]
pub enum ConfigError {
    #[error("{}: {error}", path.display())]
    Io { path: PathBuf, error: io::Error },
    #[error("{}: {error}", path.display())]
    Genesis { path: PathBuf, error: GenesisError },
    #[error("{}: {error}", path.display())]
    Key { path: PathBuf, error: String },
    /// The data directory belongs to another network than the given genesis file.
    #[error("{} is for network {theirs}, but {} is for network {ours}; use another --data directory, or the genesis file that this one was created with", data.display(), genesis.display())]
    OtherNetwork { data: PathBuf, theirs: String, genesis: PathBuf, ours: String },
    /// Another process uses the data directory.
    #[error("{} is in use by another zellbook process; stop that process, or use another --data directory", .0.display())]
    InUse(PathBuf),
    /// A network without genesis. A new development genesis would define another exchange.
    #[error(
        "--genesis is required with --network: give the genesis file of the exchange that runs on this network"
    )]
    NoGenesis,
    #[error("the system's random number generator failed: {0}")]
    Random(String),
}

/// Adds the path to an I/O error.
pub fn io_error(path: &Path) -> impl FnOnce(io::Error) -> ConfigError {
    let path = path.to_path_buf();
    move |error| ConfigError::Io { path, error }
}

/// A data directory that is locked by this process.
#[derive(Debug)]
pub struct DataDir {
    path: PathBuf,
    /// The lock is held while the file is open, so it also ends if the process is killed.
    _lock: File,
}

impl DataDir {
    /// Creates the directory if it does not exist, and locks it.
    pub fn open(path: &Path) -> Result<Self, ConfigError> {
        fs::create_dir_all(path).map_err(io_error(path))?;
        // A file of its own: SQLite locks a database only for the length of a transaction, so two processes
        // could take turns in one directory.
        let lock_path = path.join("lock");
        let lock = File::create(&lock_path).map_err(io_error(&lock_path))?;
        lock.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => ConfigError::InUse(path.to_path_buf()),
            TryLockError::Error(error) => ConfigError::Io { path: lock_path, error },
        })?;
        Ok(Self { path: path.to_path_buf(), _lock: lock })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// The rules of the exchange: those of the given genesis file (which is then stored in the directory),
    /// or of the stored one, or of a new development genesis, whose keys are generated here.
    ///
    /// A development genesis is created only if `may_create` is true.
    pub fn rules(&self, given: Option<&Path>, may_create: bool) -> Result<Arc<Rules>, ConfigError> {
        let stored_path = self.file("genesis.json");
        let stored = if stored_path.exists() { Some(read_genesis(&stored_path)?) } else { None };
        let rules = match (given, stored) {
            (None, Some(stored)) => stored,
            (None, None) if !may_create => return Err(ConfigError::NoGenesis),
            (None, None) => {
                // Keys are stored before the genesis that names them. After a crash in between, the next
                // start uses the same keys.
                let issuer = self.secret_key("issuer.key")?.public_key();
                let public_key = self.secret_key("replica.key")?.public_key();
                let replicas = vec![ReplicaSpec { public_key, weight: 1 }];
                let rules = development_genesis(issuer, true, replicas, Fees::none(issuer));
                let rules = rules
                    .map_err(|error| ConfigError::Genesis { path: stored_path.clone(), error })?;
                write_file(&stored_path, pretty(&rules).as_bytes(), 0o644)?;
                rules
            }
            (Some(path), stored) => {
                let rules = read_genesis(path)?;
                if let Some(stored) = stored
                    // By network id: files that differ only in white space or in the order of keys are the
                    // same genesis.
                    && stored.network != rules.network
                {
                    return Err(ConfigError::OtherNetwork {
                        data: self.path.clone(),
                        theirs: stored.network.to_string(),
                        genesis: path.to_path_buf(),
                        ours: rules.network.to_string(),
                    });
                }
                write_file(&stored_path, pretty(&rules).as_bytes(), 0o644)?;
                rules
            }
        };
        Ok(Arc::new(rules))
    }

    /// A secp256k1 key in this directory, generated if it does not exist.
    pub fn secret_key(&self, name: &str) -> Result<SecretKey, ConfigError> {
        let path = self.file(name);
        // No other process can create the file in between, because the directory is locked.
        if path.exists() { read_secret_key(&path) } else { new_secret_key(&path) }
    }

    /// A BLS key in this directory, generated if it does not exist.
    pub fn bls_key(&self, name: &str) -> Result<BlsSecretKey, ConfigError> {
        let path = self.file(name);
        if !path.exists() {
            let mut bytes = Zeroizing::new([0; 48]);
            random(bytes.as_mut_slice())?;
            let key = BlsSecretKey::from_random(&bytes)
                .map_err(|error| ConfigError::Random(error.to_string()))?;
            write_file(&path, key.to_hex().as_bytes(), 0o600)?;
        }
        let text = read_secret(&path)?;
        BlsSecretKey::from_hex(text.trim())
            .map_err(|error| ConfigError::Key { path, error: error.to_string() })
    }
}

fn random(bytes: &mut [u8]) -> Result<(), ConfigError> {
    getrandom::fill(bytes).map_err(|error| ConfigError::Random(error.to_string()))
}

pub fn read_genesis(path: &Path) -> Result<Rules, ConfigError> {
    let json = fs::read(path).map_err(io_error(path))?;
    Genesis::read(&json).map_err(|error| ConfigError::Genesis { path: path.to_path_buf(), error })
}

/// A genesis file with line breaks, for people to edit.
pub fn pretty(rules: &Rules) -> String {
    serde_json::to_string_pretty(&rules.genesis).unwrap_or_default() + "\n"
}

/// Reads a key file, whose first line is the secret key as 64 hex digits.
pub fn read_secret_key(path: &Path) -> Result<SecretKey, ConfigError> {
    let text = read_secret(path)?;
    SecretKey::from_hex(text.lines().next().unwrap_or_default().trim())
        .map_err(|error| ConfigError::Key { path: path.to_path_buf(), error: error.to_string() })
}

/// Generates a secret key and writes it to a new file that only its owner can read.
pub fn new_secret_key(path: &Path) -> Result<SecretKey, ConfigError> {
    loop {
        let mut bytes = Zeroizing::new([0; 32]);
        random(bytes.as_mut_slice())?;
        // Repeats about once in 2^128 draws: not every 32-byte number is a valid key.
        if let Ok(key) = SecretKey::from_bytes(&bytes) {
            let text = Zeroizing::new(format!("{}\n", *key.to_hex()));
            // Never over an existing file: a key that is overwritten is lost for good.
            write_new(path, text.as_bytes(), 0o600)?;
            return Ok(key);
        }
    }
}

fn read_secret(path: &Path) -> Result<Zeroizing<String>, ConfigError> {
    let text = fs::read_to_string(path).map(Zeroizing::new).map_err(io_error(path))?;
    let mode = fs::metadata(path).map_err(io_error(path))?.permissions().mode();
    if mode & 0o077 != 0 {
        tracing::warn!(
            "other users can read the key file {}; protect it with chmod 600 {}",
            path.display(),
            path.display()
        );
    }
    Ok(text)
}

/// Creates or replaces a file atomically and durably.
pub fn write_file(path: &Path, bytes: &[u8], mode: u32) -> Result<(), ConfigError> {
    let beside = write_beside(path, bytes, mode)?;
    fs::rename(&beside, path).map_err(io_error(path))?;
    sync_folder(path)
}

/// Moves a file durably.
pub fn move_file(from: &Path, to: &Path) -> Result<(), ConfigError> {
    fs::rename(from, to).map_err(io_error(to))?;
    sync_folder(to)
}

/// Creates a file atomically and durably. Fails if it exists.
pub fn write_new(path: &Path, bytes: &[u8], mode: u32) -> Result<(), ConfigError> {
    let beside = write_beside(path, bytes, mode)?;
    // Unlike a rename, a hard link fails if the target exists.
    let linked = fs::hard_link(&beside, path).map_err(io_error(path));
    // Before an error is returned, since the temporary file can hold a key.
    fs::remove_file(&beside).map_err(io_error(&beside))?;
    linked?;
    sync_folder(path)
}

/// Writes and syncs a temporary file in the same folder, and thus in the same file system.
fn write_beside(path: &Path, bytes: &[u8], mode: u32) -> Result<PathBuf, ConfigError> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    // The process id keeps two commands apart that write to one folder.
    let beside = path.with_file_name(format!(".{name}.{}", std::process::id()));
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        // A killed process can have left a file of this name, since ids are used again.
        .truncate(true)
        .mode(mode)
        .open(&beside)
        .map_err(io_error(&beside))?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(io_error(&beside))?;
    Ok(beside)
}

/// Syncs the folder of a file: a new name is durable only once its folder is.
fn sync_folder(path: &Path) -> Result<(), ConfigError> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(io_error(folder))
}

#[derive(Clone, Copy, Debug)]
pub struct Fees {
    /// The account that receives them.
    pub account: PublicKey,
    pub maker_bps: u16,
    pub taker_bps: u16,
}

impl Fees {
    /// No fees. Genesis needs a fee account all the same.
    pub const fn none(account: PublicKey) -> Self {
        Self { account, maker_bps: 0, taker_bps: 0 }
    }
}

/// ETH, BTC and USDT with two markets, all issued by one key.
pub fn development_genesis(
    issuer: PublicKey,
    faucet: bool,
    replicas: Vec<ReplicaSpec>,
    fees: Fees,
) -> Result<Rules, GenesisError> {
    let mut genesis = Genesis::development(issuer);
    if faucet {
        for (token, amount) in genesis.tokens.iter_mut().zip(["10", "1", "50000"]) {
            token.faucet = Decimal::parse(amount).ok();
        }
    }
    for market in &mut genesis.markets {
        (market.maker_fee_bps, market.taker_fee_bps) = (fees.maker_bps, fees.taker_bps);
    }
    genesis.fee_account = fees.account;
    genesis.replicas = replicas;
    genesis.check()
}

/// A development genesis with one replica, without faucet and fees.
#[cfg(test)]
pub fn test_rules(issuer: PublicKey, replica: PublicKey) -> Rules {
    let replicas = vec![ReplicaSpec { public_key: replica, weight: 1 }];
    development_genesis(issuer, false, replicas, Fees::none(issuer)).unwrap()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_development_genesis_stays_the_same_and_its_keys_are_private() {
        let folder = tempfile::tempdir().unwrap();
        let (network, issuer) = {
            let data = DataDir::open(folder.path()).unwrap();
            let rules = data.rules(None, true).unwrap();
            (rules.network, rules.genesis.tokens[0].issuer)
        };
        let data = DataDir::open(folder.path()).unwrap();
        assert_eq!(data.rules(None, true).unwrap().network, network);
        assert_eq!(data.secret_key("issuer.key").unwrap().public_key(), issuer);
        data.bls_key("bls.key").unwrap();
        let replica = data.secret_key("replica.key").unwrap().public_key();
        assert_eq!(data.rules(None, true).unwrap().genesis.replicas[0].public_key, replica);
        for name in ["issuer.key", "replica.key", "bls.key"] {
            let mode = fs::metadata(data.file(name)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{name}");
        }
    }

    #[test]
    fn a_directory_of_another_network_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let other = folder.path().join("other.json");
        let issuer = SecretKey::from_bytes(&[1; 32]).unwrap().public_key();
        fs::write(&other, pretty(&test_rules(issuer, issuer))).unwrap();
        let data = DataDir::open(&folder.path().join("data")).unwrap();
        data.rules(None, true).unwrap();
        let error = data.rules(Some(&other), true).unwrap_err();
        assert!(matches!(error, ConfigError::OtherNetwork { .. }), "{error}");
    }

    #[test]
    fn a_directory_in_use_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let _held = DataDir::open(folder.path()).unwrap();
        let error = DataDir::open(folder.path()).unwrap_err();
        assert!(matches!(error, ConfigError::InUse(_)), "{error}");
    }

    #[test]
    fn the_error_for_an_invalid_key_file_names_it_without_its_content() {
        let folder = tempfile::tempdir().unwrap();
        let data = DataDir::open(folder.path()).unwrap();
        fs::write(data.file("bad.key"), "secret123").unwrap();
        let error = data.secret_key("bad.key").unwrap_err().to_string();
        assert!(error.contains("bad.key") && !error.contains("secret123"), "{error}");
    }
}
