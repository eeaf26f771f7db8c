package cpu

import (
	"pipe.dev/compiler/ir"
	"pipe.dev/kernels/cpu/asm"
)

// emit stores sums for n numbers from the given one on, of some phases whose
// sums lie apart floats apart, in a channel of y, with its bias and function.
// There are either all phases of the last axis, which are put in order, or one. room is for twice as
// many floats.
func (c *convolving) emit(sums []float32, apart, phase, count, sample, channel, number, n int, room []float32) {
	step := c.step[2]
	if count > 1 {
		c.b.asm.Interleave[asm.F32](count, multiple(n, 16), floatBytes(&sums[0]), 4*apart, &room[0])
		sums = room[:n*count]
	}
	if c.oneLine {
		c.emitLine(sums[:min(n, c.size[2]-number)], (sample*c.groups*c.rows+channel)*c.size[2]+number, channel)
		return
	}
	if count == 1 && c.extent[2] < shortLine && !c.close {
		c.emitShort(sums[:n], phase, sample, channel, number)
		return
	}
	start, d := c.phases[phase].start, &c.dest
	plane := (sample*c.groups*c.rows + channel) * d[0]
	for at, l := 0, c.lineAt(number); at < n; {
		y0, y1, y2 := l[0]*c.step[0]+start[0], l[1]*c.step[1]+start[1], l[2]*step+start[2]
		length, skip := c.run(&l, n-at)
		if length > 0 && y0 < d[0] && y1 < d[1] && y2 < d[2] {
			i := ((plane+y0)*d[1]+y1)*d[2] + y2
			switch {
			case c.close:
				c.emitLine(sums[at:][:length], i, channel)
			case count == step:
				c.emitLine(sums[at*step:][:min(length*step, d[2]-y2)], i, channel)
			default:
				c.emitApart(sums[at:][:min(length, (d[2]-y2-1)/step+1)], i, step, channel)
			}
		}
		at += skip
	}
}

// run is how many numbers from l on, most at most, stand for positions side by side, and how many there are up to
// those of the next, to which l goes.
func (c *convolving) run(l *convLine, most int) (length, skip int) {
	here := *l
	if c.close && c.extent[2] == c.size[2] { // lines follow one another
		length, skip = (c.size[1]-here[1])*c.size[2]-here[2], (c.extent[1]-here[1])*c.extent[2]-here[2]
		*l = convLine{here[0] + 1, 0, 0}
	} else {
		length, skip = c.size[2]-here[2], c.extent[2]-here[2]
		l.next(&c.extent)
	}
	if here[1] >= c.size[1] || here[0] >= c.size[0] {
		length = 0
	}
	return min(length, most), skip
}

// emitShort is emit of one phase where lines are short: bias and function are computed of all sums at once.
func (c *convolving) emitShort(sums []float32, phase, sample, channel, number int) {
	if c.bias.there() {
		c.b.asm.AddS(sums, sums, c.bias.one(channel))
	}
	if c.act != nil {
		c.act(sums)
	}
	start, d := c.phases[phase].start, &c.dest
	plane := (sample*c.groups*c.rows + channel) * d[0]
	l := c.lineAt(number)
	for at := 0; at < len(sums); l.next(&c.extent) {
		y0, y1, y2 := l[0]*c.step[0]+start[0], l[1]*c.step[1]+start[1], l[2]*c.step[2]+start[2]
		if l[1] < c.size[1] && y0 < d[0] && y1 < d[1] {
			line := ((plane+y0)*d[1] + y1) * d[2]
			for j := range min(len(sums)-at, c.size[2]-l[2]) {
				if e := y2 + j*c.step[2]; e < d[2] {
					c.y.set(line+e, sums[at+j])
				}
			}
		}
		at += c.extent[2] - l[2]
	}
}

// emitLine stores sums side by side.
func (c *convolving) emitLine(sums []float32, i, channel int) {
	y := sums
	if c.y.dtype == ir.F32 {
		y = c.y.f32()[i : i+len(sums)]
	}
	if c.bias.there() {
		c.b.asm.AddS(y, sums, c.bias.one(channel))
	} else if c.y.dtype == ir.F32 {
		copy(y, sums)
	}
	if c.act != nil {
		c.act(y)
	}
	c.y.done(y, i)
}

// emitApart stores sums step elements apart.
func (c *convolving) emitApart(sums []float32, i, step, channel int) {
	if c.bias.there() {
		c.b.asm.AddS(sums, sums, c.bias.one(channel))
	}
	if c.act != nil {
		c.act(sums)
	}
	for j, v := range sums {
		c.y.set(i+j*step, v)
	}
}
