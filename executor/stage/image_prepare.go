package stage

import (
	"context"
	"fmt"
	"path/filepath"

	"pipe.dev/executor/hub"
	"pipe.dev/executor/image"
	"pipe.dev/executor/model"
	"pipe.dev/executor/tensorfile"
)

// ImagePrepareAttr says where it stands how pictures are prepared.
type ImagePrepareAttr struct {
	Config string `cue:"config: string | *\"\"" doc:"the folder with preprocessor_config.json; that of the model if empty"`
}

func imagePrepare() *Def {
	return &Def{
		Name: "image.prepare", Title: "ImagePrepare", Result: Tensor, Early: true,
		Doc:   "turns pictures into the tensor that a model reads, as preprocessor_config.json of its folder says: size, part in the middle, mean and deviation.",
		Ports: []Port{pictures(), {Name: "model", Doc: "the model", Kinds: []Kind{Model}}},
		Attr:  ImagePrepareAttr{},
		Run: func(ctx context.Context, c *Call) (Value, error) {
			list, ok := c.In["x"].([]*image.Picture)
			if !ok {
				return nil, errKind(c.In["x"], Images)
			}
			folder, err := hub.Folder(c.Attr.(ImagePrepareAttr).Config)
			if err != nil {
				return nil, err
			}
			if folder == "" {
				folder = c.Model("model").Dir()
			}
			c.read(filepath.Join(folder, model.PicturesConfig))
			how, err := model.ReadPictures(folder)
			if err != nil {
				return nil, err
			}
			ready := make([]*image.Picture, len(list))
			for i, p := range list {
				if ready[i], err = prepared(p, how); err != nil {
					return nil, err
				}
				if ctx.Err() != nil {
					return nil, ctx.Err()
				}
			}
			data, shape, err := image.Tensor(ready, image.Normal{Mean: how.Mean, Std: how.Std})
			if err != nil {
				return nil, fmt.Errorf("%s: %w", folder, err)
			}
			return tensorfile.FromFloat32s(c.ID, data, shape[:]...), nil
		},
	}
}

// prepared is a picture in the size that a model reads.
func prepared(p *image.Picture, how *model.Pictures) (*image.Picture, error) {
	width, height := how.Width, how.Height
	if short := how.Shortest; short > 0 && p.Width < p.Height {
		width, height = short, short*p.Height/p.Width
	} else if short > 0 {
		width, height = short*p.Width/p.Height, short
	}
	if width > 0 && (width != p.Width || height != p.Height) {
		var err error
		if p, err = p.Resize(width, height, how.Filter); err != nil {
			return nil, err
		}
	}
	if how.CropWidth == 0 {
		return p, nil
	}
	if how.CropWidth > p.Width || how.CropHeight > p.Height {
		return nil, fmt.Errorf("a picture of %d x %d is smaller than crop_size, %d x %d", p.Width, p.Height, how.CropWidth, how.CropHeight)
	}
	return p.Crop((p.Width-how.CropWidth)/2, (p.Height-how.CropHeight)/2, how.CropWidth, how.CropHeight)
}
