package stage

// timedIDs are the ids between two times of a window.
type timedIDs struct {
	from, to int // in the model's steps of time
	ids      []int32
}

// stretchesOf cuts what was made of a window of so many steps of time at the times in it,
// tokens from first on. Stretches that are whole end with a time, and the next one begins with
// one: what is behind the last of them is heard again, from there on. advance is how far.
func stretchesOf(ids []int32, first int32, window int) (list []timedIDs, advance int) {
	isTime := func(i int) bool { return i >= 0 && i < len(ids) && ids[i] >= first }
	tick := func(i int) int { return int(ids[i] - first) }
	begin := 0
	for i := 1; i < len(ids); i++ {
		if isTime(i-1) && isTime(i) {
			list = append(list, timedIDs{tick(begin), tick(i - 1), ids[begin:i]})
			begin = i
		}
	}
	n := len(ids)
	if len(list) == 0 { // all is one
		to := window
		for i := range ids {
			if isTime(i) && tick(i) > 0 {
				to = tick(i)
			}
		}
		if n == 0 {
			return nil, window
		}
		return []timedIDs{{0, to, ids}}, window
	}
	if isTime(n-1) && !isTime(n-2) { // nothing is said behind it
		return append(list, timedIDs{tick(begin), tick(n - 1), ids[begin:]}), window
	}
	if advance = list[len(list)-1].to; advance <= 0 {
		advance = window
	}
	return list, advance
}
