//go:build !unix

package checkpoint

// SyncFolder does nothing: this system does not flush folders.
func SyncFolder(dir string) error { return nil }
