namespace Tributary.Streaming.Targets.Postgres.Ddl;

/// <summary>The order of the steps that one command's message becomes: what takes away, what renames, what makes, what describes.</summary>
internal enum DdlPhase
{
    Detach,

    /// <summary>Steps of this phase may depend on one another in any order; the server tells by refusing one that comes too early.</summary>
    Drop,

    /// <summary>Empties tables whose rows the command has written anew; the rows follow in messages of their own.</summary>
    Empty,
    Rename,
    Loosen,
    Create,
    Column,
    Default,
    NotNull,
    Key,
    Index,
    Attach,
    AttachIndex,
    ForeignKey,
    Code,
    Setting,
    Refresh,
    Comment,
    Owner,
    Grant,
}

/// <summary>One statement at the target.</summary>
/// <param name="Object">What it concerns, for a report.</param>
/// <param name="IsEssential">Whether rows could not be written, or would come to differ, without it. A step that is not is reported when it fails, and passed.</param>
/// <param name="Role">The role that it needs at the target, if any; its lack is reported once.</param>
internal sealed record DdlStep(DdlPhase Phase, string Sql, string Object, bool IsEssential, string? Role = null);
