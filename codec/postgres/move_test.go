package postgres

import (
	"strings"
	"testing"

	"sluice/codec"
)

// beside are the words by which a session comes to stand by.
const beside = " move connected new: welcome(9) answer(" + settled + ") op=StandBy "

// rich is what a session may have at its server.
const rich = "X,,5s;Z;S,work_mem,1MB;S,client_encoding,LATIN1;C,0,mine;R,,clerk;U,,bob;P,one,select~$1,p23;P,two,prepare~two~as~select~2,s;M"

// moves are whole moves.
var moves = []struct{ name, script string }{
	{"a session in which nothing was done is put nowhere", beside + `tonew=START,ASK ask op=Ready toold=- tonew=- owes=false key=9
		tells=S(TimeZone,Asia/Tokyo),S(server_version,15.1) known=true rest=""`},
	{"all that there is", `client: Q(set_app.mine_to_1) old: CZ ` + beside + ` tonew=START,ASK ask toold=ASK owes=true op=More
		old: answer(` + rich + `) toold=DETAILS op=More answer(X,,5s;Z) owes=false tonew=SETTINGS,P(one,select_$1,23),S,Q(prepare_two_as_select_2),ENCODING,ASK
		new: CZ 1Z CZ CZ answer(` + strings.TrimSuffix(rich, ";M") + `) op=Ready known=true key=9 pin=- busy=-
		client: Q(select_1) new: CZ`},
	{"types of the database's own have other numbers there", `client: Q(select_1) parse(a,select_$1,20000,23) S old: CZ 1Z ` + beside + ` ask
		old: answer(` + settled + `;P,a,select~$1,p20000~23) toold=ASK,DETAILS answer(X,,0;Z;Y,20000,public.mood) tonew=START,ASK,TYPES
		new: types(0=30000) tonew=SETTINGS,P(a,select_$1,23),S,ENCODING,ASK CZ 1Z CZ answer(` + settled + `;P,a,select~$1,p30000~23) op=Ready known=true`},
	{"the unnamed statement goes along, and is put back at the old server", `client: parse(,select_$1,23) S Q(select_1) parse(,select_$1,25) S old: 1Z CZ 1Z` + beside + ` ask
		toold=ASK,P(,select_$1,25),S owes=true old: answer(` + settled + `) owes=true op=More tonew=START,ASK,P(,select_$1,25),S 1Z owes=false new: 1Z op=Ready`},
	{"the new server is quicker than the end of the old one's answers", `client: parse(,select_$1,23) S old: 1Z` + beside + ` ask old: answer(` + settled + `)
		new: 1Z op=Ready owes=true`},
	{"what was asked for lately is not asked for again", `client: Q(set_work_mem_to_1) old: CZ move(ask) ask toold=ASK old: answer(` + settled + `;S,work_mem,1kB)
		op=Ready known=true` + beside + ` ask toold=- tonew=START,ASK,SETTINGS,ENCODING,ASK new: CZ CZ answer(` + settled + `;S,work_mem,1kB) op=Ready known=true`},
	{"a question alone has the unnamed statement put back first", `client: parse(,select_1) S old: 1Z move(ask) ask old: answer(` + settled + `) op=More owes=true
		1Z op=Ready owes=false known=true`},
	{"a lost server is not asked", `client: Q(set_work_mem_to_1) old: CZ move(ask) ask old: answer(` + settled + `;S,work_mem,1kB) op=Ready toold=ASK move(lost) connected
		new: welcome(8) answer(` + settled + `) op=StandBy ask toold=- CZ CZ answer(` + settled + `;S,work_mem,1kB) op=Ready key=8`},
	{"the old server is lost when it has said all", `client: Q(select_1) old: CZ ` + beside + ` ask old: answer(` + settled + `;S,work_mem,1kB) oldlost op=More owes=false
		new: CZ CZ answer(` + settled + `;S,work_mem,1kB) op=Ready`},
	{"the old server is lost in its answer, and all is known", beside + ` client: Q(select_1) old: CZ move(ask) ask old: answer(` + settled + `) client: parse(,select_2) S old: 1Z` +
		beside + ` ask op=More old: answer(` + settled + `) oldlost op=More new: 1Z op=Ready`},
	{"what the old server says at any time is the client's", `client: Q(set_work_mem_to_1) old: CZ` + beside + ` ask old: A N status(TimeZone,UTC) notice(DEBUG1) notice(LOG) answer(` + settled + `;S,work_mem,1kB) A
		tells=A,N,S(TimeZone,UTC),A new: CZ CZ N A answer(` + settled + `;S,work_mem,1kB) op=Ready tells=S(TimeZone,Asia/Tokyo),S(server_version,15.1)`},
	{"the client is told what the new server has reported last", `client: Q(set_work_mem_to_1) old: C status(TimeZone,Asia/Tokyo) Z` + beside + ` ask old: answer(` + settled + `;S,work_mem,1kB)
		new: status(server_version,15.2) C status(work,2) status(work,3) Z CZ answer(` + settled + `;S,work_mem,1kB) op=Ready tells=S(server_version,15.2),S(work,3)`},
	{"a setting of a module that is loaded at the old server alone", `client: Q(select_1) old: CZ` + beside + ` ask old: answer(` + settled + `;S,pg_trgm.limit,0.5)
		new: CZ CZ answer(` + settled + `;C,0,0.5) op=Ready known=true`},
	{"the new server speaks on behind the end", beside + ` ask op=Ready new: A rest="A\x00\x00\x00\x0e\x00\x00\x00\anews\x00\x00"`},
}

// TestMoves holds whole moves, with the streams cut at every byte.
func TestMoves(t *testing.T) {
	for _, c := range moves {
		t.Run(c.name, func(t *testing.T) { everyCut(t, c.script) })
	}
}

// everyCut holds a conversation with each cutting.
func everyCut(t *testing.T, script string) {
	t.Helper()
	everyCutOf(t, nil, script)
}

func everyCutOf(t *testing.T, opt *codec.MoveOptions, script string) {
	t.Helper()
	n := moveScript(t, opt, script, whole).size
	for _, cut := range cuttings(n) {
		moveScript(t, opt, script, cut)
	}
}

// goesOn is a session that is served by its old server as before.
const goesOn = ` owes=false op=Close tells=- client: Q(select_1) busy=owed old: CZ busy=-`

// failed are moves that come to nothing: the client is served on.
var failed = []struct{ name, script string }{
	{"the new server refuses", `move connected new: E(28P01) refusal=AuthDenied` + goesOn},
	{"the new server has no room", `move connected new: E(53300) refusal=NoBackend` + goesOn},
	{"the new server speaks something else", `move connected new: raw(HTTP/1.1_400_Bad) refusal=ServerNotSupport` + goesOn},
	{"the new server wants another kind of proof", `move connected new: R(7) refusal=ServerNotSupport` + goesOn},
	{"the new server hangs", `move connected giveup refusal=-` + strings.Replace(goesOn, "op=Close", "op=More", 1)},
	{"the new server dies behind the login", `move connected new: welcome(9) E(57P01) refusal=NoBackend` + goesOn},
	{"the new server does not say what a session is", `move connected new: welcome(9) raw(E\x00\x00\x00\x17SERROR\x00C42501\x00Mno\x00\x00) refusal=ProtocolError` + goesOn},
	{"the new server's answer can't be understood", `move connected new: welcome(9) answer(X,,0;Z;?) refusal=the_server's_answer_about_its_session_can't_be_understood` + goesOn},
	{"the new server dies standing by", beside + `giveup refusal=-` + strings.Replace(goesOn, "op=Close", "op=StandBy", 1)},
	{"a setting is refused", `client: Q(select_1) old: CZ ` + beside + `ask old: answer(` + settled + `;S,work_mem,1kB) new: E(22023) refusal=NoBackend` + goesOn},
	{"a setting is refused there", `client: Q(select_1) old: CZ ` + beside + `ask old: answer(` + settled + `;S,work_mem,1kB) new: raw(E\x00\x00\x00\x17SERROR\x00C42501\x00Mno\x00\x00) refusal=ProtocolError` + goesOn},
	{"a statement can't be prepared there", `client: Q(select_1) old: CZ ` + beside + `ask old: answer(` + settled + `;P,one,select~$1,p23) new: CZ raw(E\x00\x00\x00\x17SERROR\x00C42P01\x00Mno\x00\x00) refusal=pin:prepared-statement` + goesOn},
	{"a type is not to be had there", `client: Q(select_1) old: CZ ` + beside + `ask old: answer(` + settled + `;P,one,select~$1,p20000) answer(X,,0;Z;Y,20000,public.mood) new: types(0=0) refusal=pin:prepared-statement` + goesOn},
	{"the unnamed statement can't be prepared there", `client: parse(,select_$1,23) S old: 1Z` + beside + ` ask old: answer(` + settled + `) 1Z new: raw(E\x00\x00\x00\x17SERROR\x00C42P01\x00Mno\x00\x00) refusal=pin:unnamed-statement` + goesOn},
	{"the session would not be the same", `client: Q(select_1) old: CZ ` + beside + `ask old: answer(` + settled + `;S,work_mem,1kB) new: CZ CZ answer(` + settled + `;S,work_mem,2kB) refusal=ProtocolError` + goesOn},
	{"a role is not put in place", `client: Q(select_1) old: CZ ` + beside + `ask old: answer(X,,0;Z;R,,clerk;U,,ann) new: CZ CZ answer(` + settled + `) refusal=ProtocolError` + goesOn},
	{"the new server begins a transaction", `client: Q(select_1) old: CZ ` + beside + `ask old: answer(` + settled + `;S,work_mem,1kB) new: C Z(T) refusal=ServerNotSupport` + goesOn},
	{"the new server dies in the batch", `client: Q(select_1) old: CZ ` + beside + `ask old: answer(` + settled + `;S,work_mem,1kB) new: CZ giveup refusal=-` + strings.Replace(goesOn, "op=Close", "op=More", 1)},
	{"the new server sends nonsense in the batch", `client: Q(select_1) old: CZ ` + beside + `ask old: answer(` + settled + `;S,work_mem,1kB) new: raw(\x00\x00\x00\x00\x00) refusal=ServerNotSupport` + goesOn},
	{"the old server refuses the question", `client: Q(select_1) old: CZ ` + beside + `ask old: raw(E\x00\x00\x00\x17SERROR\x00C42501\x00Mno\x00\x00) Z refusal=BackendLost` + goesOn},
	{"the old server's answer can't be understood", `client: Q(select_1) old: CZ ` + beside + `ask old: answer(` + settled + `;?,,) refusal=the_server's_answer_about_its_session_can't_be_understood` + goesOn},
	{"the old server's answer says too little", `client: Q(select_1) old: CZ ` + beside + `ask old: answer(X,,0;Z) refusal=the_server's_answer_about_its_session_can't_be_understood` + goesOn},
	{"the old server is in a transaction after all", `client: Q(select_1) old: CZ ` + beside + `ask old: CZ(T) refusal=the_session_is_in_the_middle_of_something owes=false op=Close client: Q(select_1) old: CZ`},
	{"it is given up while the old server answers", `client: Q(select_1) old: CZ ` + beside + `ask giveup owes=true old: A answer(` + settled + `) tells=A owes=false client: Q(select_1) old: CZ busy=-`},
	{"it is given up with the unnamed statement away", `client: parse(,select_1) S old: 1Z` + beside + `ask giveup old: answer(` + settled + `) owes=true 1Z client: B E S owes=false old: 2CZ busy=-`},
	{"the unnamed statement can't be made again", `client: parse(,select_1) S old: 1Z` + beside + `ask giveup old: answer(` + settled + `) raw(E\x00\x00\x00\x17SERROR\x00C42P01\x00Mno\x00\x00) Z pin=-` + goesOn},
	{"an advisory lock", `client: Q(select_1) old: CZ ` + beside + `ask old: answer(` + settled + `;L) refusal=pin:advisory-lock pin=advisory-lock client: Q(select_1) pin=- old: CZ` + goesOn},
	{"temporary things", `client: Q(select_1) old: CZ ` + beside + `ask old: answer(` + settled + `;M) op=More answer(X,,0;Z;T) refusal=pin:temp-table` + goesOn},
	{"a cursor", `client: Q(select_1) old: CZ ` + beside + `ask old: answer(` + settled + `;H) refusal=pin:cursor` + goesOn},
	{"a channel", `client: Q(select_1) old: CZ ` + beside + `ask old: answer(` + settled + `;N) refusal=pin:listen` + goesOn},
	{"a slot", `client: Q(select_1) old: CZ ` + beside + `ask old: answer(` + settled + `;O) refusal=pin:replication-slot` + goesOn},
	{"too much", `client: Q(select_1) old: CZ ` + beside + `ask old: answer(` + settled + `;S,a,` + strings.Repeat("x", 1<<20) + `;S,b,` + strings.Repeat("x", 1<<20) + `) refusal=pin:state-size` + goesOn},
	{"a statement by SQL that may have been another", `client: Q(select_1) old: CZ ` + beside + `ask old: answer(` + settled + `;P,a,prepare~a~as~select~1;~deallocate~a,s) op=Close`},
	{"a backslash under another reading of it", `client: Q(select_1) old: CZ ` + beside + `ask old: answer(` + settled + `;S,standard_conforming_strings,off;P,a,select~'\',p) refusal=pin:prepared-statement` + goesOn},
	{"a question of a session that is at work", `client: Q(select_1) move(ask) ask refusal=the_session_is_in_the_middle_of_something owes=false old: CZ busy=-`},
	{"the old server is lost in its answer", `client: Q(set_a_to_1) old: CZ ` + beside + `ask old: C oldlost op=Close refusal=BackendLost owes=false`},
	{"the old server ends in its answer, with words", `client: Q(set_a_to_1) old: CZ ` + beside + `ask old: E(57P01) oldlost op=Close refusal=BackendLost tells=E`},
}

// TestMovesFail has moves come to nothing at each step, with the streams cut at every byte.
func TestMovesFail(t *testing.T) {
	for _, c := range failed {
		t.Run(c.name, func(t *testing.T) {
			if len(c.script) > 10_000 {
				moveScript(t, nil, c.script, whole)
				moveScript(t, nil, c.script, every(1000))
				return
			}
			everyCut(t, c.script)
		})
	}
}

// TestMoveGate shows what of a client's bytes goes on while its session is to move. A message Q(select_1) is 14 bytes
// long, a Sync 5.
func TestMoveGate(t *testing.T) {
	for _, c := range []struct{ name, script string }{
		{"a safe point", `gate(Q(select_1))=0 gate(S)=0 gate(X)=5 gate(d)=11`},
		{"one command is owed", `client: Q(begin) gate(Q(select_1))=0 old: C Z(T) gate(Q(select_1))=14 gate(Q(commit) Q(begin))=12`},
		{"a group", `client: P(select_1) gate(B E S Q(begin))=32 B E S gate(P(x))=0`},
		{"a message that is cut", `client: raw(Q\x00\x00\x00\x0d) gate(raw(select_1\x00) Q(begin))=9`},
		{"a header that is cut", `client: raw(Q\x00\x00) gate(raw(\x00\x0dselect_1\x00) Q(begin))=11`},
		{"the data of COPY", `client: Q(copy) old: G gate(d d c Q(x))=27`},
	} {
		t.Run(c.name, func(t *testing.T) { moveScript(t, nil, c.script, whole) })
	}
}

// TestMoveUndone tells what a loss of the server means for what is owed.
func TestMoveUndone(t *testing.T) {
	for _, c := range []struct{ name, script string }{
		{"a query by itself", `client: Q(update_t_set_a=1) undone=false`},
		{"the begin", `client: Q(/*x*/_begin) undone=true Q(update_t) undone=false`},
		{"inside a block", `client: Q(begin) old: C Z(T) client: Q(update_t) undone=true P(select) B E S undone=true F undone=true`},
		{"the end of one", `client: Q(begin) old: C Z(T) client: Q(commit) undone=false`},
		{"what may be the end", `client: Q(begin) old: C Z(T) client: Q(update_t;commit) undone=false`},
		{"its end by a statement with a name", `client: P(commit) S Q(begin) old: 1Z C Z(T) client: B E S undone=false`},
		{"its end by the unnamed statement", `client: Q(begin) old: C Z(T) client: parse(,commit) S old: 1 Z(T) client: B E S undone=false`},
		{"behind the end", `client: Q(begin) old: C Z(T) client: Q(rollback) Q(update_t) undone=false old: CZCZ client: Q(begin) old: C Z(T) client: Q(update_t) undone=true`},
		{"a message that is not whole", `client: Q(begin) old: C Z(T) client: raw(Q\x00\x00\x00\x20sel) undone=false`},
	} {
		t.Run(c.name, func(t *testing.T) { moveScript(t, nil, c.script, whole) })
	}
}

// TestMovePins shows what binds a session by its own words.
func TestMovePins(t *testing.T) {
	opt := &codec.MoveOptions{StateMax: 1 << 20, Functions: []string{"hidden"},
		Secret: func(string) codec.Secret { return codec.Secret{Password: "pw"} }}
	long := strings.Repeat("x", maxUnnamed)
	for _, c := range []struct{ name, script string }{
		{"currval", `client: query(select~currval('a')) pin=currval`},
		{"lastval by Parse", `client: parse(a,select_lastval()) pin=currval`},
		{"a function that is named", `client: query(select~app.hidden(1)) pin=function`},
		{"a name that is made", `client: query(select~set_config('a'||'b','c',false)) pin=settings`},
		{"an unnamed statement that is long", `client: parse(,` + long + `) S pin=unnamed-statement old: 1Z client: parse(,select_1) S pin=- old: 1Z`},
		{"an unnamed statement behind an error", `client: parse(,select_1) S old: 1Z client: B(x) parse(,select_2) S old: E(ERROR) Z pin=unnamed-statement client: Q(select_1) pin=-`},
		{"a library whose name can't be told", `client: query(load~E'age') pin=load old: CZ client: query(select~1) pin=load`},
		{"a library by Parse", `client: parse(,load_E'age') S pin=load`},
		{"none", `client: Q(select_1) P(select_2) S pin=-`},
	} {
		t.Run(c.name, func(t *testing.T) {
			everyCutOf(t, opt, c.script)
		})
	}
}

// TestMoveWithoutSecret moves a session that was let in without a proof to a server that asks for one.
func TestMoveWithoutSecret(t *testing.T) {
	everyCutOf(t, &codec.MoveOptions{StateMax: 1 << 20}, `move connected new: raw(R\x00\x00\x00\x0c\x00\x00\x00\x05abcd) refusal=pin:credentials`+goesOn)
}

// TestMovePinsOfLogin shows what binds a session from its login on.
func TestMovePinsOfLogin(t *testing.T) {
	none := &codec.MoveOptions{StateMax: 1 << 20}
	for _, c := range []struct {
		name, want string
		opt        *codec.MoveOptions
		params     []string
	}{
		{"replication", "replication", none, []string{"replication", "database"}},
		{"no replication", "", none, []string{"replication", "false"}},
		{"an option of the protocol", "protocol-option", none, []string{"_pq_.x", "1"}},
		{"trust", "", none, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := newMovableTest(t, c.opt, c.params...).Pin().Name; got != c.want {
				t.Errorf("the pin is %q, want %q", got, c.want)
			}
		})
	}
}
