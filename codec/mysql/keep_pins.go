package mysql

import (
	"strings"

	"sluice/codec"
)

// tally is one of the numbers that a server keeps of what a session has done, with which those counted here
// are compared.
type tally uint8

const (
	countTemp tally = iota
	countTable
	countLock
	countFlush
	countHandler
	countXA
	countPrepare
	counters = iota
)

// pins is what binds a session to its server, as its statements tell.
type pins struct {
	temps     []string       // temporary tables: "db\x00name"
	locks     map[string]int // GET_LOCK: how often, by name in lower case
	function  string         // the last called of those that the configuration names
	mine      [counters]uint64
	handlers  int  // that are open
	tempLost  bool // a temporary table whose name is not known well enough to see it dropped
	lockAny   bool // a GET_LOCK whose name is not known
	tables    bool // LOCK TABLES
	read      bool // FLUSH TABLES WITH READ LOCK
	backup    bool // BACKUP STAGE and the like
	xa        bool // an XA transaction is not over
	nextTx    bool // SET TRANSACTION waits for the next transaction
	nextBegun bool // which has begun
	unsure    bool // a batch of such statements has failed in the middle, or the server has forgotten its counters
}

// Limits of what is remembered by name.
const (
	maxTemps = 64
	maxLocks = 64
)

// watchful tells that plain statements matter, too: they may end a pin.
func (p *pins) watchful() bool { return p.tables || p.nextTx }

// transaction notes whether one is open, for SET TRANSACTION holds until the end of the next.
func (p *pins) transaction(open bool) {
	switch {
	case open:
		p.nextBegun = true
	case p.nextBegun:
		p.nextTx, p.nextBegun = false, false
	}
}

// pin is the first of what binds.
func (p *pins) pin() codec.Pin {
	switch {
	case len(p.temps) > 0 || p.tempLost:
		return codec.Pin{Name: "temp-table", Reason: "it has a temporary table"}
	case p.tables:
		return codec.Pin{Name: "table-lock", Reason: "it has locked tables"}
	case p.read:
		return codec.Pin{Name: "read-lock", Reason: "it holds a global read lock"}
	case p.backup:
		return codec.Pin{Name: "backup-lock", Reason: "it holds a lock for a backup"}
	case len(p.locks) > 0 || p.lockAny:
		return codec.Pin{Name: "user-lock", Reason: "it may hold a lock by GET_LOCK"}
	case p.handlers > 0:
		return codec.Pin{Name: "handler", Reason: "it has a table open by HANDLER"}
	case p.xa:
		return codec.Pin{Name: "xa", Reason: "its XA transaction is not over"}
	case p.nextTx:
		return codec.Pin{Name: "next-transaction", Reason: "SET TRANSACTION waits for its next transaction"}
	case p.function != "":
		return codec.Pin{Name: "function", Reason: "it has called " + p.function}
	case p.unsure:
		return codec.Pin{Name: "hidden", Reason: "what its statements have done is not known well enough"}
	}
	return codec.Pin{}
}

// counterOf are the effects that the server counts.
var counterOf = map[effectKind]tally{
	effTemp: countTemp, effCreate: countTable, effLock: countLock, effFlush: countFlush,
	effOpen: countHandler, effXA: countXA, effPrepare: countPrepare,
}

// errSyntax is the ERR of a statement that was not understood, and so not counted.
const errSyntax = 1064

// apply notes an effect that has come about; code is that of the ERR that ended its text, 0 if none did.
func (k *keep) apply(e effect, code uint16, batch bool) {
	p := &k.pins
	if n, ok := counterOf[e.kind]; ok {
		switch {
		case code != 0 && batch:
			p.unsure = true
		case code != errSyntax, e.kind == effPrepare && e.text != "": // there it may be the text inside
			p.mine[n]++
		}
	}
	if e.kind == effPrepare && code != 0 && k.named[e.name] != nil {
		if e.text == "" {
			p.unsure = true // it is gone, unless the statement was not understood at all
		}
		k.dropNamed(e.name)
	}
	// What binds is believed where a batch failed: it may have been done. What loosens is not.
	if failed := code != 0; failed && !(batch && binds(e.kind)) && e.kind != effUserLock {
		return
	}
	switch e.kind {
	case effTemp:
		p.addTemp(k.qualified(e.name))
	case effDrop:
		p.dropTemp(k.qualified(e.name))
	case effLock:
		p.tables = true
	case effUnlock:
		p.tables, p.read = false, false
	case effBegin:
		p.tables = false
	case effReadLock:
		p.read = true
	case effBackup:
		p.backup = true
	case effBackupEnd:
		p.backup = false
	case effOpen:
		p.handlers++
	case effClose:
		p.handlers = max(0, p.handlers-1)
	case effXA:
		p.xa = true
	case effXAEnd:
		p.xa = false
	case effUserLock:
		p.lock(e.name)
	case effUserUnlock:
		p.unlock(e.name)
	case effUserFree:
		p.locks, p.lockAny = nil, false
	case effNextTx:
		p.nextTx, p.nextBegun = true, false
	case effZero:
		p.unsure = true
	case effFunction:
		p.function = e.name
	default:
		k.applyToTexts(e, code, batch)
	}
}

// applyToTexts notes what concerns prepared statements and how texts are read.
func (k *keep) applyToTexts(e effect, code uint16, batch bool) {
	switch e.kind {
	case effUse:
		k.db, k.dbSure = e.name, !batch || code == 0
	case effOpaque:
		k.dbSure = false
	case effEra:
		k.era++
	case effCall:
		k.called = true
		if f := configured([]byte(lastOf(e.name)), k.m.opt.Functions); f != "" {
			k.pins.function = f
		}
	case effPrepare:
		k.putNamed(e, code != 0)
	case effDealloc:
		k.dropNamed(e.name)
	case effExecute:
		if st := k.named[e.name]; st != nil {
			for _, inner := range st.effects {
				if inner.kind != effExecute {
					k.apply(inner, code, batch)
				}
			}
		}
	case effReset:
		k.reset()
	case effUser:
		k.reset()
		k.db, k.dbSure = k.m.account.database, true
	}
}

// binds tells which effects bind a session.
func binds(e effectKind) bool {
	switch e {
	case effTemp, effLock, effReadLock, effBackup, effOpen, effXA, effNextTx, effPrepare, effUse, effEra, effCall,
		effFunction, effOpaque, effZero, effExecute:
		return true
	}
	return false
}

// lastOf is the last part of a qualified name.
func lastOf(path string) string { return path[strings.IndexByte(path, 0)+1:] }

// qualified returns the name of a table with its database; "" if that is not known.
func (k *keep) qualified(name string) string {
	switch {
	case name == "" || strings.IndexByte(name, 0) >= 0:
		return name
	case !k.dbSure:
		return ""
	}
	return k.db + "\x00" + name
}

func (p *pins) addTemp(name string) {
	for _, t := range p.temps {
		if t == name {
			return
		}
	}
	if name == "" || len(p.temps) == maxTemps {
		p.tempLost = true
		return
	}
	p.temps = append(p.temps, name)
}

func (p *pins) dropTemp(name string) {
	for i, t := range p.temps {
		if t == name && name != "" {
			p.temps = append(p.temps[:i], p.temps[i+1:]...)
			return
		}
	}
}

func (p *pins) lock(name string) {
	if name == "" || p.locks[name] == 0 && len(p.locks) == maxLocks {
		p.lockAny = true
		return
	}
	if p.locks == nil {
		p.locks = map[string]int{}
	}
	p.locks[name]++
}

func (p *pins) unlock(name string) {
	if p.locks[name] > 1 {
		p.locks[name]--
		return
	}
	delete(p.locks, name)
}

// putNamed notes a PREPARE, which takes the place of one of the same name, even when it fails.
func (k *keep) putNamed(e effect, failed bool) {
	if k.dropNamed(e.name); failed {
		return
	}
	st := &named{origin: k.newOrigin(e.text)}
	if st.whole = e.text != ""; st.whole {
		if !k.room(keptOverhead + len(e.text) + len(e.name)) {
			k.pins.unsure = true
			return
		}
		s := &lexer{scanner{b: []byte(e.text)}}
		if i := strings.IndexAny(e.text, "'\""); i >= 0 {
			s.i = i
			if inside, ok := s.quoted(); ok {
				st.effects = appendEffects(nil, inside, k.m.opt.Functions)
			}
		}
	} else {
		st.effects = []effect{{kind: effOpaque}, {kind: effEra}}
	}
	if k.named == nil {
		k.named = map[string]*named{}
	}
	k.named[e.name] = st
}

// dropNamed notes that a statement of SQL's PREPARE is gone.
func (k *keep) dropNamed(name string) {
	st := k.named[name]
	if st == nil {
		return
	}
	if st.whole {
		k.size -= keptOverhead + len(st.text) + len(name)
	}
	delete(k.named, name)
}
