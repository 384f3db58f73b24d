package mysql

// Capability flags, as both sides exchange them in the connection phase.
//
// https://dev.mysql.com/doc/dev/mysql-server/latest/group__group__cs__capabilities__flags.html
const (
	capLongPassword     = 1 << 0 // MariaDB clears it to say "I am not MySQL, look for extended flags"
	capConnectWithDB    = 1 << 3
	capCompress         = 1 << 5 // zlib
	capODBC             = 1 << 6
	capProtocol41       = 1 << 9
	capSSL              = 1 << 11
	capIgnoreSigpipe    = 1 << 12
	capReserved         = 1 << 14 // said to be protocol 4.1 once more
	capSecureConnection = 1 << 15
	capMultiStatements  = 1 << 16
	capPluginAuth       = 1 << 19
	capConnectAttrs     = 1 << 20
	capPluginAuthLenenc = 1 << 21
	capDeprecateEOF     = 1 << 24
	capOptionalMetadata = 1 << 25
	capZstd             = 1 << 26
	capQueryAttributes  = 1 << 27
	capExtension        = 1 << 29 // MySQL: reserved for a format to come; old MariaDB: progress reports
)

// knownCaps are the flags whose effect on the streams this package knows. The others are taken out of
// the greeting: what nobody asks for can't change the framing.
const knownCaps = ^uint32(capExtension)

// MariaDB's extended flags, which travel in the last four bytes of the filler where capLongPassword is
// not set.
//
// https://mariadb.com/kb/en/connection/#capabilities
const (
	extProgress        = 1 << 0 // ERR 0xFFFF reports progress
	extStmtBulk        = 1 << 2 // COM_STMT_BULK_EXECUTE
	extTypeInfo        = 1 << 3 // more in column definitions
	extCacheMetadata   = 1 << 4 // column definitions may be left out
	extBulkUnitResults = 1 << 5 // a result set for each row of a bulk
)

// knownExts are the extended flags that this package can follow. COM_MULTI (bit 1) is not among them:
// servers no longer have it.
const knownExts = uint32(extProgress | extStmtBulk | extTypeInfo | extCacheMetadata | extBulkUnitResults)

// Status flags, which the server reports in OK and EOF.
//
// https://dev.mysql.com/doc/dev/mysql-server/latest/mysql__com_8h.html#a1d854e841086925be1883e4d7b4e8cad
const (
	statusInTrans      = 1 << 0
	statusAutocommit   = 1 << 1
	statusMoreResults  = 1 << 3
	statusCursorExists = 1 << 6
	statusLastRowSent  = 1 << 7
)
