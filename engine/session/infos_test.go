package session

import (
	"net"
	"testing"
)

// TestInfosOfALogin: a client that has connected and says nothing can be shown too.
func TestInfosOfALogin(t *testing.T) {
	s := startFunnel(t, nil, startFakePG(t, "db-a"))
	c, err := net.Dial("tcp", s.addr("in"))
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is there", func() bool {
		list := s.ClientInfos(10)
		return len(list) == 1 && list[0].State == "login" && list[0].Addr.String() == c.LocalAddr().String()
	})
	s.Sessions(10)
	s.PoolInfos()
	s.DatabaseStats()
	c.Close()
	s.expectCalm()
}
