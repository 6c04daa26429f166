using Microsoft.Extensions.Logging;

namespace Tributary.Branching;

internal static partial class Log
{
    [LoggerMessage(2000, LogLevel.Information, "The pool is open on {Root} with the {Driver} driver.")]
    public static partial void PoolOpened(ILogger logger, string root, string driver);

    [LoggerMessage(2001, LogLevel.Warning, "{Warning}")]
    public static partial void PoolWarning(ILogger logger, string warning);

    [LoggerMessage(2002, LogLevel.Information, "The base backup of {Source} begins.")]
    public static partial void BaseBackupBegins(ILogger logger, string source);

    [LoggerMessage(2003, LogLevel.Information, "Main follows {Source}.")]
    public static partial void MainFollows(ILogger logger, string source);

    [LoggerMessage(2004, LogLevel.Warning, "Main has ended; it starts again in {PauseSeconds} s.")]
    public static partial void MainEnded(ILogger logger, double pauseSeconds);

    [LoggerMessage(2064, LogLevel.Error, "The Postgres of {Name} has crashed and lost the process that recovers from that; it is ended, to be started anew.")]
    public static partial void RecoveryLost(ILogger logger, string name);

    [LoggerMessage(2005, LogLevel.Error, "Main could not be started.")]
    public static partial void MainStartFailed(ILogger logger, Exception exception);

    [LoggerMessage(2006, LogLevel.Warning, "Branches go on without the source. {Reason}")]
    public static partial void SourceUnreachable(ILogger logger, string reason);

    [LoggerMessage(2007, LogLevel.Error, "Main cannot be made; the next try is in {PauseSeconds} s.")]
    public static partial void MainFailed(ILogger logger, double pauseSeconds, Exception exception);

    [LoggerMessage(2008, LogLevel.Warning, "Production had no slot {Slot}, as after a failover; it is made.")]
    public static partial void SlotMade(ILogger logger, string slot);

    [LoggerMessage(2009, LogLevel.Error, "Main is copied anew, since {Reason}. Branches and new ones of the newest seed go on meanwhile.")]
    public static partial void MainCopiedAnew(ILogger logger, string reason);

    [LoggerMessage(2052, LogLevel.Information, "The copy of the rows of {Source} into PostgreSQL {Major} begins.")]
    public static partial void RowCopyBegins(ILogger logger, string source, int major);

    [LoggerMessage(2053, LogLevel.Error, "Main gets no changes of production's; the next try is in {PauseSeconds} s. {Reason}")]
    public static partial void FeedFailed(ILogger logger, double pauseSeconds, string reason);

    [LoggerMessage(2054, LogLevel.Warning, "This machine does not sort as production does ({Collation}); main sorts by bytes. {Reason}")]
    public static partial void LocaleMissing(ILogger logger, string collation, string reason);

    [LoggerMessage(2010, LogLevel.Information, "Seed {Seed} is ready at {Lsn} after {ElapsedMs} ms.")]
    public static partial void SeedReady(ILogger logger, string seed, string lsn, double elapsedMs);

    [LoggerMessage(2011, LogLevel.Error, "Seed {Seed} could not be made; branches start from the one before.")]
    public static partial void SeedFailed(ILogger logger, string seed, Exception exception);

    [LoggerMessage(2012, LogLevel.Information, "Spare {Number} is ready after {ElapsedMs} ms.")]
    public static partial void SpareReady(ILogger logger, long number, double elapsedMs);

    [LoggerMessage(2013, LogLevel.Warning, "Spare {Number} has ended by itself; another one is made.")]
    public static partial void SpareEnded(ILogger logger, long number);

    [LoggerMessage(2014, LogLevel.Error, "A spare could not be made; the next try is in {PauseSeconds} s.")]
    public static partial void SpareFailed(ILogger logger, double pauseSeconds, Exception exception);

    [LoggerMessage(2015, LogLevel.Information, "Spare {Number} is promoted at {Lsn} for {Requests} requests in {ElapsedMs} ms.")]
    public static partial void SparePromoted(ILogger logger, long number, string lsn, int requests, double elapsedMs);

    [LoggerMessage(2016, LogLevel.Warning, "Main has removed log that was not archived yet; the archive begins anew.")]
    public static partial void ArchiveGap(ILogger logger);

    [LoggerMessage(2017, LogLevel.Error, "Production's log cannot be archived; the next try is in {PauseSeconds} s.")]
    public static partial void ArchiveFailed(ILogger logger, double pauseSeconds, Exception exception);

    [LoggerMessage(2018, LogLevel.Error, "No base image could be made; branches of the past go on from the one before.")]
    public static partial void BaseFailed(ILogger logger, Exception exception);

    [LoggerMessage(2060, LogLevel.Information, "Main is made: an empty PostgreSQL {Major} of its own.")]
    public static partial void MainMade(ILogger logger, int major);

    [LoggerMessage(2061, LogLevel.Information, "Main runs; it is a PostgreSQL {Major} of its own and follows nothing.")]
    public static partial void MainServes(ILogger logger, int major);

    [LoggerMessage(2062, LogLevel.Information, "The import of {File} into the database {Database} begins.")]
    public static partial void ImportBegins(ILogger logger, string file, string database);

    [LoggerMessage(2063, LogLevel.Information, "The database {Database} is imported: {Bytes} bytes in {ElapsedMs} ms.")]
    public static partial void Imported(ILogger logger, string database, long bytes, double elapsedMs);

    [LoggerMessage(2020, LogLevel.Information, "Branch {Branch} is created from {Origin} in {ElapsedMs} ms.")]
    public static partial void BranchCreated(ILogger logger, string branch, string origin, double elapsedMs);

    [LoggerMessage(2021, LogLevel.Information, "Branch {Branch} is deleted.")]
    public static partial void BranchDeleted(ILogger logger, string branch);

    [LoggerMessage(2022, LogLevel.Warning, "The reconciler removed {Volume}, which a crash had left.")]
    public static partial void Reconciled(ILogger logger, string volume);

    [LoggerMessage(2023, LogLevel.Information, "Branch {Branch} is reset to {Origin} in {ElapsedMs} ms.")]
    public static partial void BranchReset(ILogger logger, string branch, string origin, double elapsedMs);

    [LoggerMessage(2024, LogLevel.Information, "The time to live of branch {Branch} has ended.")]
    public static partial void BranchExpired(ILogger logger, string branch);

    [LoggerMessage(2025, LogLevel.Error, "Branch {Branch} was made within moments of the end of the machine, which lost a part of it; it is removed.")]
    public static partial void BranchLost(ILogger logger, string branch);

    [LoggerMessage(2026, LogLevel.Error, "The branch {Branch} could not be removed; it is tried again every minute.")]
    public static partial void RemovalFailed(ILogger logger, string branch, Exception exception);

    [LoggerMessage(2052, LogLevel.Error, "Branches whose time has come could not all be removed; the next round tries again.")]
    public static partial void RemovalsFailed(ILogger logger, Exception exception);

    [LoggerMessage(2027, LogLevel.Warning, "Branch {Branch} has {Bytes} bytes of its own, more than branching.branch-bytes-max, and is stopped.")]
    public static partial void BranchOverQuota(ILogger logger, string branch, long bytes);

    [LoggerMessage(2028, LogLevel.Warning, "The record {Record} beside the volumes could not be written; it is with the next change. Until then a rebuilt catalog would lack it.")]
    public static partial void RecordOwed(ILogger logger, string record, Exception exception);

    [LoggerMessage(2029, LogLevel.Warning, "What branches take of the pool could not be measured; the next round tries again.")]
    public static partial void QuotaNotChecked(ILogger logger, Exception exception);

    [LoggerMessage(2030, LogLevel.Information, "Branch {Branch} woke in {ElapsedMs} ms.")]
    public static partial void BranchWoke(ILogger logger, string branch, double elapsedMs);

    [LoggerMessage(2031, LogLevel.Information, "Branch {Branch} sleeps.")]
    public static partial void BranchSleeps(ILogger logger, string branch);

    [LoggerMessage(2032, LogLevel.Warning, "The Postgres of branch {Branch} has ended by itself.")]
    public static partial void BranchCrashed(ILogger logger, string branch);

    [LoggerMessage(2033, LogLevel.Error, "Branch {Branch} could not be started.")]
    public static partial void BranchStartFailed(ILogger logger, string branch, Exception exception);

    [LoggerMessage(2040, LogLevel.Warning, "{Obstacle}")]
    public static partial void LimitsMissing(ILogger logger, string obstacle);

    [LoggerMessage(2041, LogLevel.Warning, "The processes of {Server} cannot be bounded on this machine.")]
    public static partial void ProcessesUnbounded(ILogger logger, string server);

    [LoggerMessage(2042, LogLevel.Information, "Branch {Branch} runs again after its Postgres ended by itself ({Crashes} times since this server started).")]
    public static partial void BranchRestarted(ILogger logger, string branch, int crashes);

    [LoggerMessage(2043, LogLevel.Error, "Branch {Branch} did not come back in {Tries} tries and sleeps; the next connection tries again.")]
    public static partial void BranchStaysDown(ILogger logger, string branch, int tries);

    [LoggerMessage(2044, LogLevel.Warning, "The log {File} cannot be bounded.")]
    public static partial void LogUnbounded(ILogger logger, string file, Exception exception);

    [LoggerMessage(2045, LogLevel.Debug, "The branch that was spare {Number} shares {Bytes} bytes more, with {Other}, after {ElapsedMs} ms.")]
    public static partial void Shared(ILogger logger, long number, long bytes, string other, double elapsedMs);

    [LoggerMessage(2046, LogLevel.Debug, "The branch that was spare {Number} shares no more than it did: {Why}")]
    public static partial void NotShared(ILogger logger, long number, string why);

    [LoggerMessage(2047, LogLevel.Debug, "Spare {Number} is renewed: main has a later restart point.")]
    public static partial void SpareRenewed(ILogger logger, long number);

    [LoggerMessage(2048, LogLevel.Warning, "Process {Process} is a server that a run before has left; it is ended.")]
    public static partial void StrayEnded(ILogger logger, int process);

    [LoggerMessage(2050, LogLevel.Information, "The pool's image has grown, so that the pool holds {Mebibytes} MiB.")]
    public static partial void PoolGrown(ILogger logger, long mebibytes);

    [LoggerMessage(2051, LogLevel.Warning, "The pool's image could not be enlarged.")]
    public static partial void PoolNotGrown(ILogger logger, Exception exception);

    [LoggerMessage(2053, LogLevel.Warning, "What branches have used could not be written down; it is tried again, and a crash until then forgets it.")]
    public static partial void UsageNotSaved(ILogger logger, Exception exception);

    [LoggerMessage(2054, LogLevel.Error, "The pool is full. Branch {Branch}, which has {Mebibytes} MiB for itself, is stopped; delete branches with --purge, or enlarge branching.pool-size.")]
    public static partial void BranchStoppedForSpace(ILogger logger, string branch, long mebibytes);

    [LoggerMessage(2055, LogLevel.Error, "The pool is full. What was held back for that is given to main and to the branches that run.")]
    public static partial void ReserveReleased(ILogger logger);

    [LoggerMessage(2056, LogLevel.Warning, "What is done about a full pool could not be done; it is tried again.")]
    public static partial void FullPoolNotHandled(ILogger logger, Exception exception);

    [LoggerMessage(2057, LogLevel.Warning, "Branch {Branch} idles and could not be put to sleep; it is tried again within moments.")]
    public static partial void NotPutToSleep(ILogger logger, string branch, Exception exception);

    [LoggerMessage(2058, LogLevel.Warning, "What a base backup that failed has left, in the pool or as a slot on production, could not all be removed; the next one removes it.")]
    public static partial void FailedCopyLeft(ILogger logger, Exception exception);

    [LoggerMessage(2059, LogLevel.Warning, "The log of a server could not be bounded; it is tried again within moments.")]
    public static partial void LogsNotBounded(ILogger logger, Exception exception);
}
