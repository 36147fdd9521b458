//! Reads the file of METASTORE_ENV_FILE, whatever is there instead of it.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

/// No larger file is read: as large as a ConfigMap can be.
const BYTES_MAX: u64 = 1 << 20;

/// The content of a small regular file. A pipe would be waited for, and a device may never end.
pub fn read_file(path: &Path) -> io::Result<String> {
    let refuse = |reason: &str| io::Error::new(io::ErrorKind::InvalidInput, reason.to_owned());
    if !fs::metadata(path)?.is_file() {
        return Err(refuse("not a regular file"));
    }
    let mut content = String::new();
    let read = File::open(path)?.take(BYTES_MAX + 1).read_to_string(&mut content)?;
    if read as u64 > BYTES_MAX {
        return Err(refuse("larger than 1 MiB"));
    }
    Ok(content)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_small_regular_file_is_read() {
        let place = std::env::temp_dir().join(format!("metastore-env-file-{}", std::process::id()));
        fs::create_dir_all(&place).unwrap();
        let file = place.join("file");
        fs::write(&file, "A=1\n").unwrap();
        assert_eq!(read_file(&file).unwrap(), "A=1\n");
        fs::write(&file, vec![b'#'; 1 << 20]).unwrap();
        assert!(read_file(&file).is_ok());
        fs::write(&file, vec![b'#'; (1 << 20) + 1]).unwrap();
        assert!(read_file(&file).unwrap_err().to_string().contains("1 MiB"));
        assert!(read_file(Path::new("/dev/zero")).unwrap_err().to_string().contains("regular"));
        assert!(read_file(&place).is_err());
        fs::remove_dir_all(&place).unwrap();
    }
}
