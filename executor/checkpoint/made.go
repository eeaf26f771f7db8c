package checkpoint

import "sync"

// made is a tensor that is put together when it is asked for.
type made struct {
	f    func() ([]byte, error)
	mu   sync.Mutex
	data []byte
}

func (m *made) view() ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.data == nil {
		data, err := m.f()
		if err != nil {
			return nil, err
		}
		m.data = data
	}
	return m.data, nil
}

// release forgets the bytes; views of them stay valid.
func (m *made) release() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.data = nil
}
