package image

import (
	"bytes"
	"errors"
	"fmt"
	stdimage "image"
	"io"
	"os"
	"slices"
	"strings"

	"pipe.dev/executor/checkpoint"
)

// Options say how a file is read. The zero value reads up to MaxPixels and turns.
type Options struct {
	Pixels int  // how many there may be at most; 0 means MaxPixels
	Stored bool // leave the picture as it is stored, whatever its Exif data say of how it was held
}

// MaxPixels is the default limit of what is decoded: 256 MiB of colours.
const MaxPixels = 1 << 28 / 3

// maxFile is the size of the largest file that is read.
const maxFile = 1 << 30

// format is a kind of file.
type format struct {
	name    string
	matches func(data []byte) bool
	// config gives the size without decoding.
	config func(data []byte) (width, height int, err error)
	decode func(data []byte) (*Picture, error)
	// exif gives the Exif data, or nil.
	exif func(data []byte) []byte
	text func(data []byte) []Text // may be nil
}

func formats() []format {
	prefixed := func(magic string) func([]byte) bool {
		return func(data []byte) bool { return bytes.HasPrefix(data, []byte(magic)) }
	}
	return []format{
		{"PNG", prefixed(pngMagic), pngConfig, decodePNG, pngExif, pngText},
		{"JPEG", prefixed("\xff\xd8"), jpegConfig, decodeJPEG, jpegExif, nil},
		{"WebP", isWebP, webpConfig, decodeWebP, webpExif, nil},
		{"GIF", prefixed("GIF8"), gifConfig, decodeGIF, func([]byte) []byte { return nil }, nil},
	}
}

// Read reads the picture in a file. Its kind is found in the file, whatever its name. The
// size is proven against the limit before anything is decoded. Every error is a
// *checkpoint.Error.
func Read(path string, o Options) (*Picture, error) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
	case !info.Mode().IsRegular():
		err = errors.New("is not a regular file")
	case info.Size() > maxFile:
		err = fmt.Errorf("holds %d bytes; a picture may have %d at most", info.Size(), maxFile)
	}
	if err != nil {
		return nil, checkpoint.FileError(path, err)
	}
	data, err := os.ReadFile(path)
	if err == nil {
		var p *Picture
		if p, err = Decode(data, o); err == nil {
			return p, nil
		}
	}
	return nil, checkpoint.FileError(path, err)
}

// Decode reads the picture in data, as Read does.
func Decode(data []byte, o Options) (*Picture, error) {
	for _, f := range formats() {
		if f.matches(data) {
			return f.read(data, o)
		}
	}
	return nil, unknown(data)
}

// unknown says that data are of no format.
func unknown(data []byte) error {
	if len(data) == 0 {
		return errors.New("is empty")
	}
	return errors.New("is no picture: want PNG, JPEG, WebP or GIF")
}

func (f format) read(data []byte, o Options) (*Picture, error) {
	w, h, err := f.config(data)
	if err != nil {
		return nil, f.damaged(err)
	}
	if err := f.allowed(w, h, o.Pixels); err != nil {
		return nil, err
	}
	p, err := f.decode(data)
	if err != nil {
		return nil, f.damaged(err)
	}
	if p.Width != w || p.Height != h {
		return nil, f.damaged(fmt.Errorf("its header says %d x %d pixels, and there are %d x %d", w, h, p.Width, p.Height))
	}
	if f.text != nil {
		p.Text = f.text(data)
	}
	if !o.Stored {
		p = p.Turned(orientation(f.exif(data)))
	}
	return p, nil
}

// allowed refuses a picture that is empty, or has more pixels than most (0: MaxPixels).
func (f format) allowed(w, h, most int) error {
	if most <= 0 {
		most = MaxPixels
	}
	if w < 1 || h < 1 {
		return fmt.Errorf("is a %s of %d x %d pixels, which is empty", f.name, w, h)
	}
	if int64(w)*int64(h) > int64(most) {
		return fmt.Errorf("is a %s of %d x %d pixels, %d together; at most %d are decoded", f.name, w, h, int64(w)*int64(h), most)
	}
	return nil
}

// damaged says what a decoder found, in one line.
func (f format) damaged(err error) error {
	text := err.Error()
	early := func(s string) bool { return strings.HasSuffix(text, s) }
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) || slices.ContainsFunc([]string{"not enough pixel data", "not enough image data", "short Huffman data"}, early) {
		return fmt.Errorf("is a damaged %s file: its data end early", f.name)
	}
	for _, p := range []string{"png: ", "jpeg: ", "gif: ", "webp: ", "vp8: ", "vp8l: ", "riff: ", "invalid format: ", "invalid JPEG format: "} {
		text = strings.TrimPrefix(text, p)
	}
	return fmt.Errorf("is a damaged %s file, or one of a kind that is not read: %s", f.name, text)
}

func size(c stdimage.Config, err error) (int, int, error) { return c.Width, c.Height, err }
