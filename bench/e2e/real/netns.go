package real

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
)

// Network is a network namespace, from which some addresses of this machine are reached over a cable
// each, which can be cut: without a word to either side, as when a switch has lost its power.
//
// The namespace is kept by a process that dies with this one, and takes its cables with it.
type Network struct {
	Addr string // of the namespace: who listens in it is reached here

	keeper *exec.Cmd
	stdin  io.WriteCloser
	said   strings.Builder   // by the keeper, of what went wrong
	ended  chan struct{}     // closed when the keeper has ended
	err    error             // of its end; valid once ended is closed
	cables map[string]string // the name of the interface on our side, by the address it leads to
}

// NewNetwork makes a network namespace with a cable to each of the addresses, which are of 127.0.0.0/8, and
// one more by which we reach it. It takes root.
func NewNetwork(addrs ...string) (*Network, error) {
	if os.Geteuid() != 0 {
		return nil, errors.New("a network namespace is made by root: run the tests as root, or in a container as its root")
	}
	n := &Network{keeper: exec.Command("unshare", "--net", "cat"), cables: map[string]string{}}
	n.keeper.Stderr = &n.said
	n.keeper.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	var err error
	if n.stdin, err = n.keeper.StdinPipe(); err != nil {
		return nil, err
	}
	if err := n.keeper.Start(); err != nil {
		return nil, fmt.Errorf("%w: install Debian's package util-linux", err)
	}
	n.ended = make(chan struct{})
	go func() {
		n.err = n.keeper.Wait()
		close(n.ended)
	}()
	if err := n.wire(addrs); err != nil {
		return nil, errors.Join(err, n.Close())
	}
	return n, nil
}

func (n *Network) wire(addrs []string) error {
	// The keeper is in its namespace once it has become cat.
	err := Eventually(comeUp, func() error {
		select {
		case <-n.ended:
			return fmt.Errorf("%w: no network namespace can be made, which takes the right to (CAP_SYS_ADMIN, CAP_NET_ADMIN): %w: %s",
				ErrNever, n.err, n.said.String())
		default:
		}
		mine, err := exec.Command("readlink", "/proc/self/ns/net").Output()
		if err != nil {
			return err
		}
		its, err := exec.Command("readlink", fmt.Sprintf("/proc/%d/ns/net", n.keeper.Process.Pid)).Output()
		if err == nil && string(mine) == string(its) {
			err = errors.New("no namespace yet")
		}
		return err
	})
	if err != nil {
		return err
	}
	// All of 127.0.0.0/8 would be the namespace's own.
	if err := n.within("ip link set lo up", "ip route del table local local 127.0.0.0/8 dev lo",
		"sysctl -q -w net.ipv4.conf.all.route_localnet=1"); err != nil {
		return err
	}
	net := fmt.Sprintf("10.213.%d", rand.IntN(256))
	for i, addr := range append([]string{""}, addrs...) {
		ours, theirs := fmt.Sprintf("slu%d-%d", n.keeper.Process.Pid, i), fmt.Sprintf("up%d", i)
		near, far := fmt.Sprintf("%s.%d", net, 4*i+1), fmt.Sprintf("%s.%d", net, 4*i+2)
		err := orders(nil,
			fmt.Sprintf("ip link add %s type veth peer name %s netns %d", ours, theirs, n.keeper.Process.Pid),
			fmt.Sprintf("sysctl -q -w net.ipv4.conf.%s.route_localnet=1", ours),
			fmt.Sprintf("ip addr add %s/30 dev %s", near, ours), "ip link set "+ours+" up")
		if err == nil {
			err = n.within(fmt.Sprintf("ip addr add %s/30 dev %s", far, theirs), "ip link set "+theirs+" up")
		}
		if err == nil && i == 0 {
			n.Addr = far
		} else if err == nil {
			n.cables[addr] = ours
			err = n.within(fmt.Sprintf("ip route add %s/32 via %s dev %s", addr, near, theirs))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// Cut parts the namespace from the address.
func (n *Network) Cut(addr string) error { return orders(nil, "ip link set "+n.cables[addr]+" down") }

// Join ends Cut.
func (n *Network) Join(addr string) error { return orders(nil, "ip link set "+n.cables[addr]+" up") }

// Close takes the namespace away. Who is in it keeps it until it ends.
func (n *Network) Close() error {
	n.stdin.Close()
	<-n.ended
	return n.err
}

// enter is what a program's path is put behind to have it run in the namespace, as the same process.
func (n *Network) enter() []string {
	return []string{"nsenter", "--target", strconv.Itoa(n.keeper.Process.Pid), "--net", "--"}
}

func (n *Network) within(lines ...string) error { return orders(n.enter(), lines...) }

// orders runs commands one after the other, each behind the words of prefix.
func orders(prefix []string, lines ...string) error {
	for _, line := range lines {
		words := append(prefix[:len(prefix):len(prefix)], strings.Fields(line)...)
		if out, err := exec.Command(words[0], words[1:]...).CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w\n%s", line, err, out)
		}
	}
	return nil
}
