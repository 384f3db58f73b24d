package engine

import "net"

// Apply sets the options on a TCP connection. Other connections are left alone.
func (o SocketOptions) Apply(nc net.Conn) error {
	t, ok := nc.(*net.TCPConn)
	if !ok || o == (SocketOptions{}) {
		return nil
	}
	if err := t.SetKeepAliveConfig(o.config()); err != nil {
		return err
	}
	raw, err := t.SyscallConn()
	if err != nil {
		return err
	}
	return o.control(raw)
}
