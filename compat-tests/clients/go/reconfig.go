// A reconfiguration as an operator does it with this client: the leader is taken out of the ensemble and comes back.
package main

import (
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"time"

	"github.com/go-zookeeper/zk"
)

const configPath = "/zookeeper/config"

// reconfiguration runs on an ensemble with reconfigEnabled, whose members stand in ZK_CONNECT in the order of their ids.
//
// While the lead is handed over nobody serves clients for a moment, and go-zookeeper gives up what finds no server: every
// step asks how far it came, and is tried again.
func reconfiguration() {
	conn, _ := open(10 * time.Second)
	defer conn.Close()
	must(conn.AddAuth("digest", []byte("super:test")))
	path := root(conn)
	addresses := strings.Split(os.Getenv("ZK_CONNECT"), ",")
	leader := leaderAmong(addresses)
	name := fmt.Sprintf("server.%d=", leader+1)
	line := memberLine(conn, name)

	eventually("the leader is removed", func() bool {
		if line, ok := findMember(conn, name); ok && line == "" {
			return true
		}
		_, err := conn.IncrementalReconfig(nil, []string{fmt.Sprint(leader + 1)}, -1)
		return err == nil
	})
	eventually("somebody else leads", func() bool {
		next, ok := findLeader(addresses)
		return ok && next != leader
	})
	eventually("a write without it", func() bool {
		_, err := conn.Create(path+"/without", nil, 0, world)
		return err == nil || err == zk.ErrNodeExists
	})
	equal("its line", "", memberLine(conn, name))

	// Without the address for clients, which stands behind a semicolon, as it may be there or not.
	line = strings.SplitN(line, ";", 2)[0] + ";" + addresses[leader]
	eventually("the old leader is a member again", func() bool {
		if line, ok := findMember(conn, name); ok && line != "" {
			return true
		}
		_, err := conn.IncrementalReconfig([]string{line}, nil, -1)
		return err == nil
	})
	eventually("a write with it", func() bool {
		_, err := conn.Create(path+"/with", nil, 0, world)
		return err == nil || err == zk.ErrNodeExists
	})
	there, events, err := zk.Connect(addresses[leader:leader+1], 10*time.Second, zk.WithLogger(quiet{}))
	must(err)
	defer there.Close()
	awaitState(events, zk.StateHasSession)
	catchUp(there, path)
	names, _, err := there.Children(path)
	must(err)
	equal("children on the member that came back", 2, len(names))
}

// findMember reads the line of a member in the list that is in force, empty if it has none.
func findMember(conn *zk.Conn, name string) (string, bool) {
	if _, err := conn.Sync(configPath); err != nil {
		return "", false
	}
	data, _, err := conn.Get(configPath)
	if err != nil {
		return "", false
	}
	for _, line := range strings.Split(string(data), "\n") {
		if strings.HasPrefix(line, name) {
			return line, true
		}
	}
	return "", true
}

func memberLine(conn *zk.Conn, name string) (line string) {
	eventually("the list of members", func() (ok bool) {
		line, ok = findMember(conn, name)
		return ok
	})
	return line
}

func leaderAmong(addresses []string) (leader int) {
	eventually("a leader", func() (ok bool) {
		leader, ok = findLeader(addresses)
		return ok
	})
	return leader
}

// findLeader asks all who leads; the client's own words for that cannot read what 3.9 says.
func findLeader(addresses []string) (int, bool) {
	for i, address := range addresses {
		if strings.Contains(ask(address, "srvr"), "Mode: leader") {
			return i, true
		}
	}
	return 0, false
}

func ask(address, word string) string {
	socket, err := net.DialTimeout("tcp", address, time.Second)
	if err != nil {
		return ""
	}
	defer socket.Close()
	if err := socket.SetDeadline(time.Now().Add(2 * time.Second)); err != nil {
		return ""
	}
	if _, err := socket.Write([]byte(word)); err != nil {
		return ""
	}
	reply, _ := io.ReadAll(socket)
	return string(reply)
}
