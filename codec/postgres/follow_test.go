package postgres

import (
	"strings"
	"testing"
)

// conversations are held with a follower at every cut. The numbers are those of the field's known
// pitfalls, listed in the project's notes on poolers.
var conversations = []struct{ name, script, events string }{
	{
		name:   "a query and its rows",
		script: "busy= c Q(select 1) owed=1 busy=owed s TDDC owed=1 Z owed=0 busy= tx=I",
		events: "+query ~query -query",
	},
	{
		name:   "pitfall 28: several statements, one answer",
		script: "c Q(select 1; select 2; ;) s TDCTDC owed=1 Z owed=0",
		events: "+query ~query -query",
	},
	{
		name:   "pitfall 28: an empty query",
		script: "c Q s IZ owed=0",
		events: "+query ~query -query",
	},
	{
		name:   "a query that fails in the middle of its rows",
		script: "c Q(select 1/x from t) s TDDEZ owed=0 ending=false",
		events: "+query ~query !query",
	},
	{
		name:   "queries sent ahead",
		script: "c QQQ owed=3 s TDCZ owed=2 EZ owed=1 TDCZ owed=0",
		events: "+query +query +query ~query -query ~query !query ~query -query",
	},
	{
		name:   "pitfall 27: a function call is answered without a Sync",
		script: "c F owed=1 s VZ owed=0 c F s EZ owed=0",
		events: "+function ~function -function +function ~function !function",
	},
	{
		name:   "a transaction",
		script: "c Q(begin) s CZ(T) busy=transaction tx=T c Q s TDCZ(T) busy=transaction c Q(commit) s CZ busy= tx=I",
		events: "+query ~query -query +query ~query -query +query ~query -query",
	},
	{
		name:   "pitfall 16: a failed transaction is not idle",
		script: "c Q(begin) s CZ(T) c Q(nonsense) s EZ(E) busy=failed-transaction tx=E c Q(rollback) s CZ busy=",
		events: "+query ~query -query +query ~query !query +query ~query -query",
	},
	{
		name:   "pitfall 43: a cancelled statement keeps the connection",
		script: "c Q(begin) s CZ(T) c Q(select pg_sleep) s E ending=false Z(E) busy=failed-transaction",
		events: "+query ~query -query +query ~query !query",
	},
	{
		name:   "a group",
		script: "c PBDES owed=1 s 12TDDC owed=1 Z owed=0 busy=",
		events: "+extended ~extended -extended",
	},
	{
		name:   "a group is owed before its Sync has come",
		script: "c PBDE owed=1 busy=owed H s 12TDC owed=1 busy=owed c S owed=1 s Z owed=0 busy=",
		events: "+extended ~extended -extended",
	},
	{
		name:   "pitfall 1: several groups ahead, one ReadyForQuery for each",
		script: "c PBESBESBES owed=3 s 12CZ owed=2 2C owed=2 Z owed=1 busy=owed 2CZ owed=0",
		events: "+extended +extended +extended ~extended -extended ~extended -extended ~extended -extended",
	},
	{
		name:   "pitfall 2: a Flush has no answer and owes nothing",
		script: "c H owed=0 busy= PDH owed=1 s 1tTn c BEH s 2DC owed=1 c S s Z owed=0 c HH owed=0",
		events: "+extended ~extended -extended",
	},
	{
		name:   "pitfall 3: an error in a group, the rest of it is skipped",
		script: "c PBDEBES owed=1 s 1E owed=1 Z owed=0 busy=",
		events: "+extended ~extended !extended",
	},
	{
		name:   "pitfall 4: messages between the error and a late Sync are not answered",
		script: "c PBE s E owed=1 c BEBE owed=1 H S owed=1 s Z owed=0 busy=",
		events: "+extended ~extended !extended",
	},
	{
		name:   "an error in one group of a pipeline leaves the others",
		script: "c PBESPBESPBES s 12CZ 1EZ owed=1 12CZ owed=0",
		events: "+extended +extended +extended ~extended -extended ~extended !extended ~extended -extended",
	},
	{
		name:   "an error at the Sync itself, when the transaction can't be committed",
		script: "c PBES s 12CEZ owed=0",
		events: "+extended ~extended !extended",
	},
	{
		name:   "pitfall 9: a portal suspended by its row limit",
		script: "c PBEH s 12DDs owed=1 busy=owed c EH s DDs c ES s DCZ owed=0",
		events: "+extended ~extended -extended",
	},
	{
		name:   "Close and an empty statement",
		script: "c PBECCS s 12I33Z owed=0",
		events: "+extended ~extended -extended",
	},
	{
		name:   "a Sync alone",
		script: "c S owed=1 s Z owed=0 c SS owed=2 s ZZ owed=0",
		events: "+extended ~extended -extended +extended +extended ~extended -extended ~extended -extended",
	},
	{
		name:   "a Query ends a group without a Sync",
		script: "c PBEQ owed=2 s 12C owed=2 TDCZ owed=0 busy=",
		events: "+extended +query ~extended -extended -query",
	},
	{
		name:   "a Query behind a failed group is skipped up to the Sync",
		script: "c PBEQ s 1E owed=2 c F owed=3 S owed=4 s Z owed=0 busy= c Q s TDCZ owed=0",
		events: "+extended +query ~extended +function +extended !extended !query !function !extended +query ~query -query",
	},
	{
		name:   "a Query that fails behind a good group is answered",
		script: "c PBEQS owed=3 s 12CEZ owed=1 Z owed=0",
		events: "+extended +query +extended ~extended -extended !query ~extended -extended",
	},
	{
		name:   "a FunctionCall that fails behind a good group is answered",
		script: "c PBEF owed=2 s 12CEZ owed=0 c PBES s 12CZ owed=0",
		events: "+extended +function ~extended -extended !function +extended ~extended -extended",
	},
	{
		name:   "pitfall 19: ParameterStatus at any time",
		script: "s S owed=0 busy= c Q s STSDSCSZ busy= s SSS busy=",
		events: "+query ~query -query",
	},
	{
		name:   "pitfall 20: notices and notifications answer nothing",
		script: "s NA owed=0 c Q owed=1 s NA owed=1 s TNDC owed=1 Z busy=",
		events: "+query ~query -query",
	},
	{
		name:   "pitfall 20: an idle server says that it ends",
		script: "s N ending=false E(FATAL) ending=true owed=0",
	},
	{
		name:   "pitfall 54: a FATAL in an answer",
		script: "c Q s TDE(FATAL) ending=true owed=1",
		events: "+query ~query",
	},
	{
		name:   "a PANIC",
		script: "s E(PANIC) ending=true",
	},
	{
		name:   "severities that are like FATAL and are not",
		script: "s E(FATALER)E(FATA)E(FFATAL)E(PATAL)E(FEHLER)E(PFATAL)E(AFATAL) ending=false",
	},
	{
		name:   "the client says goodbye",
		script: "c X ending=true owed=0",
	},
	{
		name:   "in the middle of messages",
		script: "mid=false,false c Q mid=false,false s TDCZ mid=false,false",
		events: "+query ~query -query",
	},
}

func TestConversations(t *testing.T) { hold(t, conversations) }

func hold(t *testing.T, conversations []struct{ name, script, events string }) {
	for _, c := range conversations {
		t.Run(strings.ReplaceAll(c.name, ":", ""), func(t *testing.T) {
			steps := parseScript(t, c.script)
			for _, cut := range cuttings(steps.size()) {
				events, err := steps.run(t, cut)
				if err != nil {
					t.Fatalf("%s: %v", cut.name, err)
				}
				if events != c.events {
					t.Fatalf("%s:\ngot  %s\nwant %s", cut.name, events, c.events)
				}
			}
		})
	}
}
