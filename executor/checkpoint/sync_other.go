//go:build !unix

package checkpoint

// syncFolder does nothing: this system does not flush folders.
func syncFolder(dir string) error { return nil }
