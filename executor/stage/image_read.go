package stage

import (
	"context"
	"encoding/hex"
	"fmt"
	"slices"

	"pipe.dev/executor/image"
)

// ImageReadAttr describes how files become pictures.
type ImageReadAttr struct {
	Mode       string `cue:"mode: \"\" | \"grey\" | \"grey_alpha\" | *\"rgb\" | \"rgba\"" doc:"the channels; those of the file if empty"`
	Background string `cue:"background: *\"\" | =~\"^#[0-9a-fA-F]{6}$\"" doc:"the colour behind what is not opaque, as \"#ffffff\"; if empty, alpha is kept or left out, as mode says"`
	Bits       int    `cue:"bits: *8 | 16 | 0" doc:"of a sample; those of the file if 0"`
	Upright    bool   `cue:"upright: bool | *true" doc:"turn the picture as its Exif data say"`
	MaxPixels  int    `cue:"max_pixels: int & >0 | *89478485" doc:"a larger picture is refused before it is decoded"`
}

func imageRead() *Def {
	return &Def{
		Name: "image.read", Title: "ImageRead", Result: Images, Early: true,
		Doc:   "reads pictures from files: PNG, JPEG, WebP or GIF, of which it takes the first frame.",
		Ports: []Port{{Name: "path", Doc: "the file, or a list of files", Kinds: []Kind{Text, List}}},
		Attr:  ImageReadAttr{},
		Run: func(_ context.Context, c *Call) (Value, error) {
			paths, err := texts("path", c.In["path"])
			if err != nil {
				return nil, err
			}
			var list []*image.Picture
			for _, path := range paths {
				c.read(path)
				p, err := c.Attr.(ImageReadAttr).read(path)
				if err != nil {
					return nil, err
				}
				list = append(list, p)
			}
			return list, nil
		},
	}
}

func (a ImageReadAttr) read(path string) (*image.Picture, error) {
	p, err := image.Read(path, image.Options{Pixels: a.MaxPixels, Stored: !a.Upright})
	if err != nil {
		return nil, err
	}
	if a.Background != "" {
		colour, err := hex.DecodeString(a.Background[1:])
		if err != nil {
			return nil, fmt.Errorf("background is %q, want a colour as \"#ffffff\"", a.Background)
		}
		p = p.Over(colour[0], colour[1], colour[2])
	}
	if a.Mode != "" {
		p = p.WithChannels(1 + slices.Index(image.Modes(), a.Mode))
	}
	if a.Bits > 0 {
		p = p.WithBits(a.Bits)
	}
	return p, nil
}

// texts are the strings of a text or a list.
func texts(port string, v Value) ([]string, error) {
	v, err := Collect(v)
	if err != nil {
		return nil, err
	}
	switch v := v.(type) {
	case string:
		return []string{v}, nil
	case []any:
		var list []string
		for i, e := range v {
			s, ok := e.(string)
			if !ok {
				return nil, fmt.Errorf("%s[%d] is %v, want a string", port, i, e)
			}
			list = append(list, s)
		}
		if len(list) > 0 {
			return list, nil
		}
		return nil, fmt.Errorf("%s is empty", port)
	}
	return nil, fmt.Errorf("%s is %s, want %s", port, KindOf(v), Text)
}

// eachImage is the Run of stages that change picture after picture.
func eachImage(change func(c *Call, i int, p *image.Picture) (*image.Picture, error)) func(context.Context, *Call) (Value, error) {
	return func(ctx context.Context, c *Call) (Value, error) {
		list, ok := c.In["x"].([]*image.Picture)
		if !ok {
			return nil, errKind(c.In["x"], Images)
		}
		out := make([]*image.Picture, len(list))
		for i, p := range list {
			var err error
			if out[i], err = change(c, i, p); err == nil {
				err = ctx.Err()
			}
			if err != nil {
				return nil, err
			}
		}
		return out, nil
	}
}

// pictures is the port of stages that read pictures.
func pictures() Port { return Port{Name: "x", Doc: "the pictures", Kinds: []Kind{Images}} }
