package image

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"hash/crc32"
	stdimage "image"
	"image/png"
	"io"
	"unicode/utf8"
)

const pngMagic = "\x89PNG\r\n\x1a\n"

func pngConfig(data []byte) (int, int, error) {
	return size(png.DecodeConfig(bytes.NewReader(data)))
}

func decodePNG(data []byte) (*Picture, error) {
	m, err := png.Decode(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	if m, ok := m.(*stdimage.NRGBA64); ok {
		return pngGrey(data, &Picture{Width: m.Rect.Dx(), Height: m.Rect.Dy(), Channels: 4, Deep: words(rows(m.Pix, m.Stride, 8*m.Rect.Dx(), m.Rect.Dy()))}), nil
	}
	p, err := fromStandard(m)
	if err != nil {
		return nil, err
	}
	return pngGrey(data, p), nil
}

// pngGrey takes two of four channels where the file holds grey pixels.
func pngGrey(data []byte, p *Picture) *Picture {
	const kind = 25 // of colours, in the header: 0 is grey, 4 grey and alpha
	if p.Channels != 4 || data[kind]&3 != 0 {
		return p
	}
	q := New(p.Width, p.Height, 2, p.Deep != nil)
	for i := range p.Width * p.Height {
		if p.Deep != nil {
			q.Deep[2*i], q.Deep[2*i+1] = p.Deep[4*i], p.Deep[4*i+3]
		} else {
			q.Pix[2*i], q.Pix[2*i+1] = p.Pix[4*i], p.Pix[4*i+3]
		}
	}
	return q
}

// pngChunks visits the chunks of a file until yield returns false or the file ends.
func pngChunks(data []byte, yield func(kind string, body []byte) bool) {
	for at := len(pngMagic); at+12 <= len(data); {
		n := int64(binary.BigEndian.Uint32(data[at:]))
		if n > int64(len(data)-at-12) || !yield(string(data[at+4:at+8]), data[at+8:at+8+int(n)]) {
			return
		}
		at += 12 + int(n)
	}
}

func pngExif(data []byte) (found []byte) {
	pngChunks(data, func(kind string, body []byte) bool {
		if kind == "eXIf" {
			found = body
		}
		return found == nil
	})
	return found
}

// maxText is the size of the largest remark that is read, and of all together.
const maxText = 1 << 20

// pngText reads the chunks tEXt, zTXt and iTXt; what is damaged or too long is left out.
func pngText(data []byte) (list []Text) {
	room := maxText
	pngChunks(data, func(kind string, body []byte) bool {
		key, rest, ok := bytes.Cut(body, []byte{0})
		if !ok || len(key) == 0 || len(key) > 79 {
			return true
		}
		value := []byte(nil)
		switch kind {
		case "tEXt":
			value = latin(rest)
		case "zTXt":
			if len(rest) > 0 && rest[0] == 0 {
				value = latin(inflate(rest[1:], room))
			}
		case "iTXt":
			value = international(rest, room)
		}
		if value != nil && len(value) <= room {
			list = append(list, Text{string(latin(key)), string(value)})
			room -= len(value)
		}
		return true
	})
	return list
}

// international reads what follows the key of iTXt: whether it is compressed, how, the
// language, the key in that language, and the text.
func international(rest []byte, room int) []byte {
	if len(rest) < 2 {
		return nil
	}
	packed := rest[0] == 1
	_, rest, ok := bytes.Cut(rest[2:], []byte{0})
	if ok {
		_, rest, ok = bytes.Cut(rest, []byte{0})
	}
	if ok && packed {
		rest = inflate(rest, room)
	}
	if !ok || !utf8.Valid(rest) {
		return nil
	}
	return rest
}

// inflate unpacks up to room bytes; nil if there are more, or if they are damaged.
func inflate(data []byte, room int) []byte {
	r, err := zlib.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil
	}
	out, err := io.ReadAll(io.LimitReader(r, int64(room)+1))
	if err != nil || len(out) > room {
		return nil
	}
	return out
}

// latin turns ISO 8859-1 into UTF-8.
func latin(text []byte) []byte {
	if text == nil {
		return nil
	}
	out := make([]byte, 0, len(text))
	for _, c := range text {
		out = utf8.AppendRune(out, rune(c))
	}
	return out
}

// EncodePNG writes a picture, with its texts behind the header: those of ASCII in tEXt,
// others in iTXt. The same picture gives the same bytes.
func EncodePNG(w io.Writer, p *Picture) error {
	return png.Encode(&behindHeader{w: w, left: len(pngMagic) + 25, texts: p.Text}, p.standard())
}

// behindHeader puts texts behind the header of a file that is written through it.
type behindHeader struct {
	w     io.Writer
	left  int // bytes of the header that are still to come
	texts []Text
}

func (b *behindHeader) Write(data []byte) (n int, err error) {
	if b.left > 0 {
		n = min(b.left, len(data))
		if _, err := b.w.Write(data[:n]); err != nil {
			return 0, err
		}
		if b.left -= n; b.left > 0 {
			return n, nil
		}
		for _, t := range b.texts {
			if _, err := b.w.Write(textChunk(t)); err != nil {
				return n, err
			}
		}
	}
	m, err := b.w.Write(data[n:])
	return n + m, err
}

func textChunk(t Text) []byte {
	kind, between := "tEXt", "\x00"
	for _, c := range t.Value {
		if c < ' ' && c != '\n' || c > '~' {
			kind, between = "iTXt", "\x00\x00\x00\x00\x00"
		}
	}
	body := kind + t.Key + between + t.Value
	out := binary.BigEndian.AppendUint32(nil, uint32(len(body)-4))
	out = append(out, body...)
	return binary.BigEndian.AppendUint32(out, crc32.ChecksumIEEE([]byte(body)))
}
