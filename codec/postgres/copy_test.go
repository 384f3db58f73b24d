package postgres

import "testing"

// copies are the conversations in which COPY decides what is owed. Each of them was seen on a real
// server (testdata/recorded/copy-*.txt), but those that a client would have to be odd to cause.
var copies = []struct{ name, script, events string }{
	{
		name:   "COPY out",
		script: "> Q(copy t to stdout) < H busy=copy dd busy=copy c busy=owed C owed=1 Z owed=0 busy=",
		events: "+query ~query -query",
	},
	{
		name:   "COPY out by Execute",
		script: "> PBDES < 12nHd busy=copy dcCZ busy=",
		events: "+extended ~extended -extended",
	},
	{
		name:   "COPY out that breaks off",
		script: "> Q < Hdd busy=copy E busy=owed Z busy=",
		events: "+query ~query !query",
	},
	{
		name:   "COPY in",
		script: "> Q(copy t from stdin) < G busy=copy > dd busy=copy c owed=1 busy=copy < C busy=owed Z owed=0 busy=",
		events: "+query ~query -query",
	},
	{
		name:   "two COPYs in one Query",
		script: "> Q < G > dc < CG busy=copy > dc < CZ owed=0 busy=",
		events: "+query ~query -query",
	},
	{
		name:   "two COPYs in one Query, sent ahead",
		script: "> QdcdcQ owed=2 < GCGCZ owed=1 TDCZ owed=0 busy=",
		events: "+query +query ~query -query ~query -query",
	},
	{
		name:   "the client gives up",
		script: "> Q < G > d f < E busy=copy Z owed=0 busy= > Q < TDCZ",
		events: "+query ~query !query +query ~query -query",
	},
	{
		name:   "pitfall 22: COPY by Query fails, data and CopyDone come late and are thrown away",
		script: "> Q < G > d < E > dd < Z owed=0 busy= > ddc owed=0 busy= c Q owed=1 < TDCZ owed=0",
		events: "+query ~query !query +query ~query -query",
	},
	{
		name:   "pitfall 22: the late CopyDone comes in front of the ReadyForQuery",
		script: "> Q < G > d < E > dc < Z owed=0 busy= > Q owed=1 < G > dS c < C Z owed=0 busy=",
		events: "+query ~query !query +query ~query +extended -query -extended",
	},
	{
		name:   "pitfall 22: COPY by Execute fails, only the Sync behind is answered",
		script: "> PBDEH < 12nG > dd < E busy=copy owed=1 > ddc owed=1 S owed=1 < Z owed=0 busy=",
		events: "+extended ~extended !extended",
	},
	{
		name:   "pitfall 24: the Sync in front of the data is ignored",
		script: "> PBDES owed=1 < 12nG busy=copy > ddc owed=1 S owed=1 < C owed=1 Z owed=0 busy= > Q < TDCZ owed=0",
		events: "+extended ~extended -extended +query ~query -query",
	},
	{
		name:   "pitfall 24: the same, sent ahead",
		script: "> PBDESdcSQ < 12nGC busy=owed Z owed=1 TDCZ owed=0 busy=",
		events: "+extended +extended +query ~extended -extended -extended ~query -query",
	},
	{
		name:   "pitfall 24: a Flush inside the data is ignored",
		script: "> PBDEH < 12nG > dHdcHS < CZ owed=0 busy=",
		events: "+extended ~extended -extended",
	},
	{
		name:   "pitfall 24: Syncs inside a COPY by Query are ignored",
		script: "> QS owed=2 < G > dSdcQ owed=4 < C busy=owed Z owed=1 TDCZ owed=0 busy=",
		events: "+query +extended ~query +extended +query -query -extended -extended ~query -query",
	},
	{
		name: "pitfalls 22 and 24: bad data, and the Sync in front was ignored",
		script: "> PBDES < 12nG > ddd c S < E Z owed=0 busy=copy " + // the other Sync may yet be answered
			"> Q(select 1) owed=1 < T busy=owed DCZ owed=0 busy=",
		events: "+extended ~extended !extended +query ~query -query",
	},
	{
		name: "pitfalls 22 and 24: the error comes first, and the Sync in front is answered",
		script: "> PBDES < 12nGE owed=1 Z owed=0 busy= " + // there was no other Sync
			"> dc owed=0 S owed=1 < Z owed=0 busy=",
		events: "+extended ~extended !extended +extended ~extended -extended",
	},
	{
		name:   "pitfalls 22 and 24: the error comes first, when both Syncs are on their way",
		script: "> PBDES < 12nG > dcS < E Z owed=0 busy=copy Z owed=0 busy=",
		events: "+extended ~extended !extended",
	},
	{
		name:   "pitfalls 22 and 24: the same, with a Query on its way too",
		script: "> PBDES < 12nG > dcSQ < E Z owed=1 Z owed=1 busy=owed TDCZ owed=0 busy=",
		events: "+extended ~extended +query !extended ~query -query",
	},
	{
		name:   "pitfalls 22 and 24: the next command fails at once, which clears the doubt",
		script: "> PBDES < 12nG > dcS < EZ busy=copy > Q < EZ owed=0 busy=",
		events: "+extended ~extended !extended +query ~query !query",
	},
	{
		name:   "a doubt that meets a Sync alone is cleared by the command behind it",
		script: "> PBDES < 12nG > dcS < EZ busy=copy > S < Z busy=copy owed=0 > PBES < 12CZ owed=0 busy=",
		events: "+extended ~extended !extended +extended ~extended -extended +extended ~extended -extended",
	},
	{
		name:   "a doubt that meets a Sync alone, and both are answered",
		script: "> PBDES < 12nG > dcS < EZ > S < Z busy=copy owed=0 Z busy= owed=0",
		events: "+extended ~extended !extended +extended ~extended -extended",
	},
	{
		name:   "a statement in front of COPY in one Query takes none of its data",
		script: "> QdcS < CGE Z owed=1 busy=owed Z owed=0",
		events: "+query +extended ~query !query ~extended -extended",
	},
	{
		name:   "COPY by Query fails, and it is not known whether it has ignored the Sync in front",
		script: "> QS < G > d < EZ owed=0 busy=copy Z busy= > Q < TDCZ owed=0 busy=",
		events: "+query +extended ~query !query -extended +query ~query -query",
	},
	{
		name:   "COPY fails before it begins: every Sync is answered, what is between is thrown away",
		script: "> PBDESdcS owed=2 < 12nE Z owed=1 Z owed=0 busy=",
		events: "+extended +extended ~extended !extended ~extended -extended",
	},
	{
		name:   "two COPYs in one group",
		script: "> PBDES < 12nG > dcPBDEH < C busy=owed 12nG busy=copy > dcS < CZ owed=0 busy=",
		events: "+extended ~extended +extended -extended -extended",
	},
	{
		name:   "a group behind COPY data that fails skips to its own Sync",
		script: "> PBDES < 12nG > dcPBES < C1E owed=2 Z owed=0 busy=",
		events: "+extended ~extended +extended !extended !extended",
	},
	{
		name:   "a Query behind COPY data that ended a group without a Sync",
		script: "> PBDES < 12nG > dcPBEQ < C12C TDCZ owed=0 busy= > Q < TDCZ owed=0",
		events: "+extended ~extended +extended +query -extended -extended -query +query ~query -query",
	},
	{
		name:   "a Query behind COPY data fails, which is not the group's error",
		script: "> PBDES < 12nG > dcPBEQS < C12CEZ owed=1 Z owed=0 busy=",
		events: "+extended ~extended +extended +query +extended -extended -extended !query ~extended -extended",
	},
	{
		name:   "the group behind COPY data fails in front of a Query, which is then skipped",
		script: "> PBDES < 12nG > dcPBEQS < C1E Z owed=0 busy=",
		events: "+extended ~extended +extended +query +extended !extended !extended !query !extended",
	},
	{
		name:   "a Query fails behind COPY data in its own group",
		script: "> PBDEH < 12nG > dcPBEQ < C12CEZ owed=0 busy=",
		events: "+extended ~extended +query -extended !query",
	},
	{
		name:   "two COPYs in one Query, the second fails with a Sync behind it",
		script: "> QdcdcS < GCGE Z owed=1 busy=owed Z owed=0 busy=",
		events: "+query +extended ~query !query ~extended -extended",
	},
	{
		name:   "two Syncs in front of an error, and none behind: what is answered was not ignored",
		script: "> PBDES < 12nG > S owed=1 < EZ owed=1 busy=owed Z owed=0 busy=",
		events: "+extended ~extended !extended",
	},
	{
		name:   "two Syncs in front of an error, and only one is answered",
		script: "> PBDES < 12nG > S owed=1 < EZ owed=1 busy=owed > Q owed=1 < T owed=1 DCZ owed=0 busy=",
		events: "+extended ~extended !extended +query ~query -query",
	},
	{
		name:   "a Sync that was ignored does not stay owed",
		script: "> SQ < TDC owed=1 Z owed=0 busy=",
		events: "+extended +query -extended ~query -query",
	},
	{
		name:   "a Sync that was ignored does not stay owed when the next command fails",
		script: "> SQ < E owed=1 Z owed=0 busy=",
		events: "+extended +query -extended ~query !query",
	},
	{
		name:   "a Query inside COPY data ends the connection",
		script: "> Q < G > dQ owed=2 < EE(FATAL) ending=true",
		events: "+query ~query +query",
	},
	{
		name: "pitfall 23: replication, the client ends it first",
		script: "> Q(START_REPLICATION) < W busy=replication > d < dd > d busy=replication c owed=1 busy=replication " +
			"< d busy=replication c busy=replication C busy=owed Z owed=0 busy=",
		events: "+query ~query -query",
	},
	{
		name:   "pitfall 23: replication, the server ends it first",
		script: "> Q < Wdd c busy=replication > dc < C busy=owed Z busy=",
		events: "+query ~query -query",
	},
	{
		name:   "pitfall 23: replication at the end of a timeline",
		script: "> Q < Wdc > c < TD busy=owed CCZ owed=0 busy=",
		events: "+query ~query -query",
	},
	{
		name:   "pitfall 23: replication that breaks off",
		script: "> Q < Wdd E busy=owed Z owed=0 busy= > d c owed=0 c Q < TDCZ",
		events: "+query ~query !query +query ~query -query",
	},
}

func TestCopies(t *testing.T) { hold(t, copies) }
