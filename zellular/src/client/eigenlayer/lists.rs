//! Operator lists on disk: one node list per file, named by its block.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use super::error::OperatorsError;
use crate::nodes::NodeList;

fn io_error(path: &Path) -> impl FnOnce(io::Error) -> OperatorsError {
    let path = path.to_path_buf();
    move |error| OperatorsError::Disk { path, error }
}

/// Reads the operator lists of a folder, by block, for example to check the proofs of batches that were
/// stored earlier.
///
/// # Errors
///
/// Fails if a file cannot be read or is not a node list.
pub fn read_lists(folder: &Path) -> Result<BTreeMap<u64, NodeList>, OperatorsError> {
    let mut lists = BTreeMap::new();
    for entry in fs::read_dir(folder).map_err(io_error(folder))? {
        let path = entry.map_err(io_error(folder))?.path();
        let block = path.file_stem().and_then(|stem| stem.to_str()?.parse().ok());
        let is_list = path.extension().is_some_and(|extension| extension == "json");
        // Other files are ignored: a crash can leave an unfinished one.
        if let Some(block) = block.filter(|_| is_list) {
            let json = fs::read(&path).map_err(io_error(&path))?;
            lists.insert(block, NodeList::read(&json)?);
        }
    }
    Ok(lists)
}

pub(super) fn make_folder(folder: &Path) -> Result<(), OperatorsError> {
    fs::create_dir_all(folder).map_err(io_error(folder))
}

/// Writes a list durably: a crash leaves the whole file or none. Half of a list would prevent the next start.
pub(super) fn write_list(folder: &Path, block: u64, list: &NodeList) -> Result<(), OperatorsError> {
    let path = folder.join(format!("{block}.json"));
    let written = || {
        // Under a name that `read_lists` ignores, until all of it is on disk.
        let unfinished = path.with_extension("unfinished");
        let mut file = File::create(&unfinished)?;
        file.write_all(list.to_json().as_bytes())?;
        file.sync_all()?;
        fs::rename(&unfinished, &path)?;
        // The new name is durable only with the folder. Windows has no such call.
        #[cfg(unix)]
        File::open(folder)?.sync_all()?;
        Ok(())
    };
    written().map_err(io_error(&path))
}

#[cfg(test)]
mod tests {
    use super::{make_folder, read_lists, write_list};
    use crate::nodes::NodeList;

    #[test]
    fn a_written_list_reads_back_and_other_files_are_ignored() {
        let folder = std::env::temp_dir().join(format!("zellular-lists-{}", std::process::id()));
        make_folder(&folder).unwrap();
        let list =
            NodeList::read(include_bytes!("../../../tests/vectors/equal4/nodes.json")).unwrap();
        write_list(&folder, 17, &list).unwrap();
        std::fs::write(folder.join("18.unfinished"), "{").unwrap();
        std::fs::write(folder.join("notes.json"), "{").unwrap();
        let lists = read_lists(&folder).unwrap();
        assert_eq!(lists.into_iter().collect::<Vec<_>>(), [(17, list)]);
        std::fs::write(folder.join("19.json"), "{").unwrap();
        assert!(read_lists(&folder).is_err());
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
