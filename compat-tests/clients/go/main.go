// Program go checks the go-zookeeper client against the server that ZK_CONNECT names; SERVER_CTL restarts it. With the
// argument "reconfig" it checks only that an ensemble can be changed.
package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"reflect"
	"sort"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/go-zookeeper/zk"
)

// How long an event, a reconnect or a condition may take.
const patience = 30 * time.Second

var (
	passed, failed int
	roots          int
)

// check runs one named check; it fails by panicking with what was wrong.
func check(name string, body func()) {
	defer func() {
		if problem := recover(); problem != nil {
			failed++
			fmt.Printf("FAIL %s: %v\n", name, problem)
			return
		}
		passed++
		fmt.Printf("ok   %s\n", name)
	}()
	body()
}

func equal(what string, expected, actual interface{}) {
	if !reflect.DeepEqual(expected, actual) {
		panic(fmt.Sprintf("%s: expected <%v>, got <%v>", what, expected, actual))
	}
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func refused(expected, err error) {
	if !errors.Is(err, expected) {
		panic(fmt.Sprintf("expected error <%v>, got <%v>", expected, err))
	}
}

func eventually(what string, condition func() bool) {
	for end := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		if condition() {
			return
		}
		if time.Now().After(end) {
			panic("not in time: " + what)
		}
	}
}

type quiet struct{}

func (quiet) Printf(string, ...interface{}) {}

func open(timeout time.Duration) (*zk.Conn, <-chan zk.Event) {
	conn, events, err := zk.Connect(strings.Split(os.Getenv("ZK_CONNECT"), ","), timeout, zk.WithLogger(quiet{}))
	must(err)
	awaitState(events, zk.StateHasSession)
	return conn, events
}

func awaitState(events <-chan zk.Event, state zk.State) {
	end := time.After(patience)
	for {
		select {
		case event := <-events:
			if event.State == state && event.Type == zk.EventSession {
				return
			}
		case <-end:
			panic(fmt.Sprintf("the connection did not become %v", state))
		}
	}
}

func expect(events <-chan zk.Event, kind zk.EventType, path string) {
	select {
	case event := <-events:
		equal("event", fmt.Sprintf("%v %s", kind, path), fmt.Sprintf("%v %s", event.Type, event.Path))
	case <-time.After(patience):
		panic("no event for " + path)
	}
}

var world = zk.WorldACL(zk.PermAll)

func create(conn *zk.Conn, path, data string, flags int32) string {
	created, err := conn.Create(path, []byte(data), flags, world)
	must(err)
	return created
}

func root(conn *zk.Conn) string {
	roots++
	return create(conn, "/go-"+strconv.Itoa(roots), "", zk.FlagPersistent)
}

func control(verb string) {
	if out, err := exec.Command(os.Getenv("SERVER_CTL"), verb).CombinedOutput(); err != nil {
		panic(fmt.Sprintf("%s: %v: %s", verb, err, out))
	}
}

func main() {
	if len(os.Args) > 1 && os.Args[1] == "reconfig" {
		check("the leader is removed and comes back", reconfiguration)
	} else {
		checkAll()
	}
	fmt.Printf("%d passed, %d failed\n", passed, failed)
	if failed > 0 {
		os.Exit(1)
	}
}

func checkAll() {
	conn, _ := open(10 * time.Second)
	defer conn.Close()
	check("create, get, set, exists, delete", func() { basics(conn) })
	check("children in any number", func() { children(conn) })
	check("create modes", func() { modes(conn) })
	check("containers and TTL znodes go", func() { vanishing(conn) })
	check("error codes", func() { refusals(conn) })
	check("multi: all or nothing", func() { multi(conn) })
	check("watches on data, children and creation", func() { watches(conn) })
	check("ACLs and digest authentication", func() { security(conn) })
	check("sync", func() {
		path := root(conn)
		answered, err := conn.Sync(path)
		must(err)
		equal("path", path, answered)
	})
	check("protected ephemeral sequential", func() {
		path, err := conn.CreateProtectedEphemeralSequential(root(conn)+"/p-", nil, world)
		must(err)
		equal("end", "p-0000000000", path[len(path)-len("p-0000000000"):])
	})
	check("lock recipe", func() { lock(conn) })
	check("ephemerals go with the session", func() { ephemerals(conn) })
	check("four-letter words", fourLetterWords)
	check("many requests in flight", func() { pipelined(conn) })
	check("kill -9 and start: session, watches and data live on", restart)
}

func basics(conn *zk.Conn) {
	path := create(conn, root(conn)+"/a", "data", zk.FlagPersistent)
	data, stat, err := conn.Get(path)
	must(err)
	equal("data", "data", string(data))
	equal("zxids", stat.Czxid, stat.Mzxid)
	equal("length", int32(4), stat.DataLength)
	set, err := conn.Set(path, []byte("longer"), stat.Version)
	must(err)
	equal("version", int32(1), set.Version)
	there, again, err := conn.Exists(path)
	must(err)
	equal("there", true, there)
	equal("stat", set, again)
	must(conn.Delete(path, 1))
	there, _, err = conn.Exists(path)
	must(err)
	equal("there", false, there)
}

func children(conn *zk.Conn) {
	path := root(conn)
	var expected []string
	for i := 0; i < 500; i++ {
		create(conn, path+"/"+strconv.Itoa(i), "", zk.FlagPersistent)
		expected = append(expected, strconv.Itoa(i))
	}
	names, stat, err := conn.Children(path)
	must(err)
	sort.Strings(expected)
	sort.Strings(names)
	equal("names", expected, names)
	equal("counts", "500 500", fmt.Sprint(stat.NumChildren, stat.Cversion))
}

func modes(conn *zk.Conn) {
	path := root(conn)
	equal("sequential", path+"/s0000000000", create(conn, path+"/s", "", zk.FlagSequence))
	equal("ephemeral sequential", path+"/s0000000001", create(conn, path+"/s", "", zk.FlagEphemeralSequential))
	create(conn, path+"/e", "", zk.FlagEphemeral)
	_, stat, err := conn.Exists(path + "/e")
	must(err)
	equal("owner", conn.SessionID(), stat.EphemeralOwner)
	ttl, err := conn.CreateTTL(path+"/t", nil, zk.FlagPersistentSequentialWithTTL, world, time.Hour)
	must(err)
	equal("TTL sequential", path+"/t0000000003", ttl)
}

func vanishing(conn *zk.Conn) {
	path := root(conn)
	_, err := conn.CreateContainer(path+"/c", nil, zk.FlagContainer, world)
	must(err)
	create(conn, path+"/c/child", "", zk.FlagPersistent)
	must(conn.Delete(path+"/c/child", -1))
	_, err = conn.CreateTTL(path+"/t", nil, zk.FlagTTL, world, 500*time.Millisecond)
	must(err)
	for _, name := range []string{"/c", "/t"} {
		eventually(name+" is gone", func() bool {
			there, _, err := conn.Exists(path + name)
			return err == nil && !there
		})
	}
}

func refusals(conn *zk.Conn) {
	path := root(conn)
	_, err := conn.Create(path, nil, 0, world)
	refused(zk.ErrNodeExists, err)
	_, err = conn.Create(path+"/a/b", nil, 0, world)
	refused(zk.ErrNoNode, err)
	_, _, err = conn.Get(path + "/a")
	refused(zk.ErrNoNode, err)
	_, err = conn.Set(path, nil, 7)
	refused(zk.ErrBadVersion, err)
	_, err = conn.Create(path+"/a", nil, 0, nil)
	refused(zk.ErrInvalidACL, err)
	create(conn, path+"/e", "", zk.FlagEphemeral)
	refused(zk.ErrNotEmpty, conn.Delete(path, -1))
	_, err = conn.Create(path+"/e/child", nil, 0, world)
	refused(zk.ErrNoChildrenForEphemerals, err)
	// Standalone servers refuse, each for its reason, without looking at the members.
	_, err = conn.IncrementalReconfig([]string{"server.9=127.0.0.1:1:2"}, nil, -1)
	refused(zk.ErrReconfigDisabled, err)
}

func multi(conn *zk.Conn) {
	path := root(conn)
	results, err := conn.Multi(
		&zk.CreateRequest{Path: path + "/a", Data: []byte("x"), Acl: world},
		&zk.SetDataRequest{Path: path + "/a", Data: []byte("y"), Version: 0},
		&zk.CheckVersionRequest{Path: path + "/a", Version: 1},
		&zk.CreateRequest{Path: path + "/b", Acl: world, Flags: zk.FlagEphemeral},
		&zk.DeleteRequest{Path: path + "/b", Version: 0},
	)
	must(err)
	equal("results", 5, len(results))
	equal("path", path+"/a", results[0].String)
	equal("version", int32(1), results[1].Stat.Version)
	_, err = conn.Multi(
		&zk.CreateRequest{Path: path + "/c", Acl: world},
		&zk.DeleteRequest{Path: path + "/missing", Version: -1},
	)
	refused(zk.ErrNoNode, err)
	there, _, err := conn.Exists(path + "/c")
	must(err)
	equal("undone", false, there)
}

func watches(conn *zk.Conn) {
	other, _ := open(10 * time.Second)
	defer other.Close()
	path := root(conn)
	_, _, created, err := conn.ExistsW(path + "/a")
	must(err)
	_, _, listed, err := conn.ChildrenW(path)
	must(err)
	create(other, path+"/a", "", 0)
	expect(created, zk.EventNodeCreated, path+"/a")
	expect(listed, zk.EventNodeChildrenChanged, path)
	_, _, changed, err := conn.GetW(path + "/a")
	must(err)
	_, err = other.Set(path+"/a", []byte("x"), -1)
	must(err)
	expect(changed, zk.EventNodeDataChanged, path+"/a")
	_, _, deleted, err := conn.GetW(path + "/a")
	must(err)
	must(other.Delete(path+"/a", -1))
	expect(deleted, zk.EventNodeDeleted, path+"/a")
}

func security(conn *zk.Conn) {
	other, _ := open(10 * time.Second)
	defer other.Close()
	must(other.AddAuth("digest", []byte("user:password")))
	path := root(conn)
	_, err := other.Create(path+"/a", []byte("secret"), 0, zk.DigestACL(zk.PermAll, "user", "password"))
	must(err)
	// The two may be with different members of an ensemble.
	catchUp(conn, path)
	_, _, err = conn.Get(path + "/a")
	refused(zk.ErrNoAuth, err)
	data, _, err := other.Get(path + "/a")
	must(err)
	equal("data", "secret", string(data))
	acl, _, err := other.GetACL(path + "/a")
	must(err)
	equal("ACL", zk.DigestACL(zk.PermAll, "user", "password"), acl)
	stat, err := other.SetACL(path+"/a", world, 0)
	must(err)
	equal("aversion", int32(1), stat.Aversion)
	catchUp(conn, path)
	_, _, err = conn.Get(path + "/a")
	must(err)
}

func catchUp(conn *zk.Conn, path string) {
	_, err := conn.Sync(path)
	must(err)
}

func lock(conn *zk.Conn) {
	path := root(conn) + "/lock"
	var holders, most, turns int
	var guard sync.Mutex
	var all sync.WaitGroup
	for i := 0; i < 5; i++ {
		all.Add(1)
		go func() {
			defer all.Done()
			own, _ := open(10 * time.Second)
			defer own.Close()
			lock := zk.NewLock(own, path, world)
			for turn := 0; turn < 5; turn++ {
				must(lock.Lock())
				guard.Lock()
				holders++
				turns++
				if holders > most {
					most = holders
				}
				guard.Unlock()
				guard.Lock()
				holders--
				guard.Unlock()
				must(lock.Unlock())
			}
		}()
	}
	all.Wait()
	equal("turns", 25, turns)
	equal("holders at once", 1, most)
}

func ephemerals(conn *zk.Conn) {
	owner, _ := open(10 * time.Second)
	path := root(conn)
	create(owner, path+"/e", "", zk.FlagEphemeral)
	catchUp(conn, path)
	_, _, gone, err := conn.ExistsW(path + "/e")
	must(err)
	owner.Close()
	expect(gone, zk.EventNodeDeleted, path+"/e")
}

func fourLetterWords() {
	servers := strings.Split(os.Getenv("ZK_CONNECT"), ",")[:1]
	equal("ruok", []bool{true}, zk.FLWRuok(servers, patience))
	// go-zookeeper does not know the date of 3.9 in what `srvr` says: it gives up, with nothing read.
	_, ok := zk.FLWSrvr(servers, patience)
	equal("srvr", false, ok)
}

func pipelined(conn *zk.Conn) {
	path := root(conn)
	var all sync.WaitGroup
	problems := make(chan error, 2_000)
	for i := 0; i < 2_000; i++ {
		all.Add(1)
		go func(i int) {
			defer all.Done()
			data := []byte(strconv.Itoa(i))
			own, err := conn.Create(path+"/n", data, zk.FlagSequence, world)
			if err == nil {
				var read []byte
				read, _, err = conn.Get(own)
				if err == nil && !bytes.Equal(read, data) {
					err = fmt.Errorf("%s holds %s, not %s", own, read, data)
				}
			}
			if err != nil {
				problems <- err
			}
		}(i)
	}
	all.Wait()
	close(problems)
	must(<-problems)
	_, stat, err := conn.Exists(path)
	must(err)
	equal("children", int32(2_000), stat.NumChildren)
}

func restart() {
	conn, events := open(40 * time.Second)
	defer conn.Close()
	path := root(conn)
	id := conn.SessionID()
	create(conn, path+"/e", "kept", zk.FlagEphemeral)
	_, _, changed, err := conn.GetW(path + "/e")
	must(err)
	control("kill9")
	awaitState(events, zk.StateDisconnected)
	control("start")
	awaitState(events, zk.StateHasSession)
	equal("session", id, conn.SessionID())
	data, stat, err := conn.Get(path + "/e")
	must(err)
	equal("data and owner", fmt.Sprint("kept ", id), fmt.Sprint(string(data), " ", stat.EphemeralOwner))
	_, err = conn.Set(path+"/e", []byte("x"), -1)
	must(err)
	expect(changed, zk.EventNodeDataChanged, path+"/e")
}
