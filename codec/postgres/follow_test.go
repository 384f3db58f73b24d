package postgres

import (
	"strings"
	"testing"
)

// conversations are held with a follower at every cut. The numbers are those of a list of pitfalls
// into which poolers and proxies have fallen.
var conversations = []struct{ name, script, events string }{
	{
		name:   "a query and its rows",
		script: "busy= > Q(select 1) owed=1 busy=owed < TDDC owed=1 Z owed=0 busy= tx=I",
		events: "+query ~query -query",
	},
	{
		name:   "pitfall 28: several statements, one answer",
		script: "> Q(select 1; select 2; ;) < TDCTDC owed=1 Z owed=0",
		events: "+query ~query -query",
	},
	{
		name:   "pitfall 28: an empty query",
		script: "> Q < IZ owed=0",
		events: "+query ~query -query",
	},
	{
		name:   "a query that fails in the middle of its rows",
		script: "> Q(select 1/x from t) < TDDEZ owed=0 ending=false",
		events: "+query ~query !query",
	},
	{
		name:   "queries sent ahead",
		script: "> QQQ owed=3 < TDCZ owed=2 EZ owed=1 TDCZ owed=0",
		events: "+query +query +query ~query -query ~query !query ~query -query",
	},
	{
		name:   "pitfall 27: a function call is answered without a Sync",
		script: "> F owed=1 < VZ owed=0 > F < EZ owed=0",
		events: "+function ~function -function +function ~function !function",
	},
	{
		name:   "a transaction",
		script: "> Q(begin) < CZ(T) busy=transaction tx=T > Q < TDCZ(T) busy=transaction > Q(commit) < CZ busy= tx=I",
		events: "+query ~query -query +query ~query -query +query ~query -query",
	},
	{
		name:   "pitfall 16: a failed transaction is not idle",
		script: "> Q(begin) < CZ(T) > Q(nonsense) < EZ(E) busy=failed-transaction tx=E > Q(rollback) < CZ busy=",
		events: "+query ~query -query +query ~query !query +query ~query -query",
	},
	{
		name:   "pitfall 43: a cancelled statement keeps the connection",
		script: "> Q(begin) < CZ(T) > Q(select pg_sleep) < E ending=false Z(E) busy=failed-transaction",
		events: "+query ~query -query +query ~query !query",
	},
	{
		name:   "a group",
		script: "> PBDES owed=1 < 12TDDC owed=1 Z owed=0 busy=",
		events: "+extended ~extended -extended",
	},
	{
		name:   "a group is owed before its Sync has come",
		script: "> PBDE owed=1 busy=owed H < 12TDC owed=1 busy=owed > S owed=1 < Z owed=0 busy=",
		events: "+extended ~extended -extended",
	},
	{
		name:   "pitfall 1: several groups ahead, one ReadyForQuery for each",
		script: "> PBESBESBES owed=3 < 12CZ owed=2 2C owed=2 Z owed=1 busy=owed 2CZ owed=0",
		events: "+extended +extended +extended ~extended -extended ~extended -extended ~extended -extended",
	},
	{
		name:   "pitfall 2: a Flush has no answer and owes nothing",
		script: "> H owed=0 busy= PDH owed=1 < 1tTn > BEH < 2DC owed=1 > S < Z owed=0 > HH owed=0",
		events: "+extended ~extended -extended",
	},
	{
		name:   "pitfall 3: an error in a group, the rest of it is skipped",
		script: "> PBDEBES owed=1 < 1E owed=1 Z owed=0 busy=",
		events: "+extended ~extended !extended",
	},
	{
		name:   "pitfall 4: messages between the error and a late Sync are not answered",
		script: "> PBE < E owed=1 > BEBE owed=1 H S owed=1 < Z owed=0 busy=",
		events: "+extended ~extended !extended",
	},
	{
		name:   "pitfall 7: two errors in one group are one failure",
		script: "> PBES < 1EEZ owed=0 busy=",
		events: "+extended ~extended !extended",
	},
	{
		name:   "pitfall 26: a Parse and a Bind whose Execute is held back are owed",
		script: "> PB owed=1 busy=owed < 12 owed=1 > ES < CZ owed=0",
		events: "+extended ~extended -extended",
	},
	{
		name:   "an error in one group of a pipeline leaves the others",
		script: "> PBESPBESPBES < 12CZ 1EZ owed=1 12CZ owed=0",
		events: "+extended +extended +extended ~extended -extended ~extended !extended ~extended -extended",
	},
	{
		name:   "an error at the Sync itself, when the transaction can't be committed",
		script: "> PBES < 12CEZ owed=0",
		events: "+extended ~extended !extended",
	},
	{
		name:   "pitfall 9: a portal suspended by its row limit",
		script: "> PBEH < 12DDs owed=1 busy=owed > EH < DDs > ES < DCZ owed=0",
		events: "+extended ~extended -extended",
	},
	{
		name:   "Close and an empty statement",
		script: "> PBECCS < 12I33Z owed=0",
		events: "+extended ~extended -extended",
	},
	{
		name:   "a Sync alone",
		script: "> S owed=1 < Z owed=0 > SS owed=2 < ZZ owed=0",
		events: "+extended ~extended -extended +extended +extended ~extended -extended ~extended -extended",
	},
	{
		name:   "a Query ends a group without a Sync",
		script: "> PBEQ owed=2 < 12C owed=2 TDCZ owed=0 busy=",
		events: "+extended +query ~extended -extended -query",
	},
	{
		name:   "a Query behind a failed group is skipped up to the Sync",
		script: "> PBEQ < 1E owed=2 > F owed=3 S owed=4 < Z owed=0 busy= > Q < TDCZ owed=0",
		events: "+extended +query ~extended +function +extended !extended !query !function !extended +query ~query -query",
	},
	{
		name:   "a Query that fails behind a good group is answered",
		script: "> PBEQS owed=3 < 12CEZ owed=1 Z owed=0",
		events: "+extended +query +extended ~extended -extended !query ~extended -extended",
	},
	{
		name:   "a FunctionCall that fails behind a good group is answered",
		script: "> PBEF owed=2 < 12CEZ owed=0 > PBES < 12CZ owed=0",
		events: "+extended +function ~extended -extended !function +extended ~extended -extended",
	},
	{
		name:   "replies are counted anew for each ReadyForQuery",
		script: "> PBEQ < 12CTDCZ > PBEQ < 1E owed=2 > S owed=3 < Z owed=0",
		events: "+extended +query ~extended -extended -query +extended +query ~extended +extended !extended !query !extended",
	},
	{
		name:   "a CopyDone without a COPY changes nothing",
		script: "> PBEcQ < 12CEZ owed=0 > c Q < TDCZ owed=0",
		events: "+extended +query ~extended -extended !query +query ~query -query",
	},
	{
		name:   "pitfall 19: ParameterStatus at any time",
		script: "< S owed=0 busy= > Q < STSDSCSZ busy= < SSS busy=",
		events: "+query ~query -query",
	},
	{
		name:   "pitfall 20: notices and notifications answer nothing",
		script: "< NA owed=0 > Q owed=1 < NA owed=1 < TNDC owed=1 Z busy=",
		events: "+query ~query -query",
	},
	{
		name:   "pitfall 20: an idle server says that it ends",
		script: "< N ending=false E(FATAL) ending=true owed=0",
	},
	{
		name:   "pitfall 54: a FATAL in an answer",
		script: "> Q < TDE(FATAL) ending=true owed=1",
		events: "+query ~query",
	},
	{
		name:   "a PANIC",
		script: "< E(PANIC) ending=true",
	},
	{
		name:   "severities that are like FATAL and are not",
		script: "< E(FATALER)E(FATA)E(FFATAL)E(PATAL)E(FEHLER)E(PFATAL)E(AFATAL) ending=false",
	},
	{
		name:   "the client says goodbye",
		script: "> X ending=true owed=0",
	},
	{
		name:   "in the middle of messages",
		script: "mid=false,false > Q mid=false,false < TDCZ mid=false,false",
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
