package onnx

import "fmt"

// readValue reads the name and type of an input or output.
func readValue(f field) (Value, error) {
	var v Value
	err := fields(f.bytes, f.at, func(f field) (err error) {
		switch f.number {
		case 1:
			v.Name, err = f.text()
		case 2:
			err = into(f, 1, func(f field) error { // tensor_type
				switch f.number {
				case 1:
					if d, ok := dtypes[f.value]; ok {
						v.DType = d.name
					}
				case 2:
					v.Ranked = true
					return into(f, 1, nil, &v)
				}
				return nil
			})
		}
		return err
	})
	return v, err
}

// into reads the fields of the message in field number of f; of a shape the
// axes of v.
func into(f field, number int, each func(field) error, axes ...*Value) error {
	return fields(f.bytes, f.at, func(f field) error {
		if f.number != number {
			return nil
		}
		if len(axes) == 0 {
			return fields(f.bytes, f.at, each)
		}
		v, axis := axes[0], "?"
		err := fields(f.bytes, f.at, func(f field) (err error) {
			switch f.number {
			case 1:
				axis = fmt.Sprint(int64(f.value))
			case 2:
				axis, err = f.text()
			}
			return err
		})
		if v.Shape = append(v.Shape, axis); len(v.Shape) > maxAxes {
			return fmt.Errorf("%.60q has more than %d axes", v.Name, maxAxes)
		}
		return err
	})
}
