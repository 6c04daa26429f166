namespace Tributary.Branching;

/// <summary>What a commit in a branch promises.</summary>
public enum Durability
{
    /// <summary>
    /// A commit does not wait for the disk. The crash of the branch's server, kill -9 included, may take what it committed in the last 0.6 s
    /// (three times wal_writer_delay, https://www.postgresql.org/docs/current/wal-async-commit.html); what is older survives, and nothing is
    /// ever torn. The default: a branch is an experiment.
    /// </summary>
    Ephemeral,

    /// <summary>A commit waits for the disk, as in production.</summary>
    Durable,
}
