package postgres

import "testing"

// The settings that a client asks for at its login are applied to a server and read back, in the form
// that the server gives them.
func TestIntroduce(t *testing.T) {
	plays(t, `
		login application_name=me;DateStyle=german
		s~ set_config
		taken
		s: T D C(SELECT 1) S(DateStyle;German) S(application_name;me) Z(I)
		s~ pg_settings
		taken
		s: T D(S;DateStyle;German, DMY) D(S;application_name;me) D(R;;none) D(U;;joe) C(SELECT 4) Z(I)
		s?
		c?
		free
		refused=<nil>
		settings=DateStyle=German, DMY;application_name=me;
		detach
		# the same host fits it as it is; another one has to be made fit
		c: Q(select 1)
		s? Q(select 1)
		s: C(SELECT 1) Z(I)
		c? C(SELECT 1) Z(I)
		detach
		host 2
		c: Q(select 1)
		s~ set_config
		need=Turn
		s: T D C(SELECT 1) S(DateStyle;German) S(application_name;me) Z(I)
		c?
		s? Q(select 1)
		s: C(SELECT 1) Z(I)
		c? C(SELECT 1) Z(I)
		free`)
}

// A setting of the client's own is not among pg_settings. It is asked for by name, so that it is the client's,
// and known to be on the server connection.
func TestIntroduceOwnSetting(t *testing.T) {
	plays(t, `
		login app.tenant=mine
		s~ set_config
		s: T D C(SELECT 1) Z(I)
		s~ current_setting('app.tenant',true)
		s: T D(C;0;mine) D(R;;none) D(U;;joe) C(SELECT 3) Z(I)
		c?
		free
		settings=app.tenant=mine;
		detach
		client 2
		c: Q(select 1)
		s~ set_config('app.tenant',NULL,false)`)
}

// A setting that there is not ends the login, with the server's words, and leaves the host free.
func TestPitfall48SettingRefused(t *testing.T) {
	plays(t, `
		login no_such_setting=1
		s~ set_config
		s: E(42704;unrecognized configuration parameter "no_such_setting") Z(I)
		s?
		c?
		free
		refused=the session's settings were refused by the server
		detach
		client 2
		c: Q(select 1)
		s? Q(select 1)`)
}

// A login whose look fails is refused as well.
func TestLookAtLoginFails(t *testing.T) {
	plays(t, `
		login application_name=me
		s~ set_config
		s: T D C(SELECT 1) S(application_name;me) Z(I)
		s~ pg_settings
		s: E(57014;canceling statement) Z(I)
		refused=the session's settings could not be read
		s?
		free`)
}

// Settings that a host refuses later end the session; the host stays as it was.
func TestSettingsRefusedAtAttach(t *testing.T) {
	plays(t, `
		login role=writer
		s~ set_config
		s: T D C(SELECT 1) Z(I)
		s~ pg_settings
		s: T D(S;work_mem;4MB) D(R;;writer) D(U;;joe) C(SELECT 3) Z(I)
		settings=work_mem=4MB;
		detach
		host 2
		c: Q(select 1)
		s~ set_config
		need=Turn
		s: E(42501;permission denied) Z(I)
		error=the session's settings were refused by the server
		s?
		c?
		free`)
}

// DISCARD ALL takes settings back to those of the client's login, which are not the server's own. The
// client hears of them where it would from a server of its own.
func TestDiscardAllPutsBack(t *testing.T) {
	plays(t, `
		login application_name=me
		s: T D C(SELECT 1) S(application_name;me) Z(I)
		s: T D(S;application_name;me) D(R;;none) D(U;;joe) C(SELECT 3) Z(I)
		detach
		s~ set_config
		c: Q(set application_name to 'you')
		s? Q(set application_name to 'you')
		s: C(SET) S(application_name;you) Z(I)
		c? C(SET) S(application_name;you) Z(I)
		free
		c: Q(discard all) Q(show application_name)
		s? Q(discard all)
		s: C(DISCARD ALL) S(application_name;) Z(I)
		c? C(DISCARD ALL) S(application_name;me) Z(I)
		s~ pg_settings
		need=Turn
		s: T D(R;;none) D(U;;joe) C(SELECT 2) Z(I)
		s~ set_config
		s: T D C(SELECT 1) S(application_name;me) Z(I)
		c?
		s? Q(show application_name)
		s: T D C(SHOW) Z(I)
		c? T D C(SHOW) Z(I)
		free`)
}

// In a transaction nothing can be put back: the server's own value is what counts there.
func TestResetInTransaction(t *testing.T) {
	plays(t, `
		c: Q(begin)
		s? Q(begin)
		s: C(BEGIN) Z(T)
		c? C(BEGIN) Z(T)
		c: Q(reset TimeZone)
		s? Q(reset TimeZone)
		s: C(RESET) S(TimeZone;Europe/Rome) Z(T)
		c? C(RESET) S(TimeZone;Europe/Rome) Z(T)
		taken`)
}
