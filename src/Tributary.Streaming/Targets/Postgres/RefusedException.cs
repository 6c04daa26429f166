using Npgsql;
using Tributary.Postgres;

namespace Tributary.Streaming.Targets.Postgres;

/// <summary>The server refused one statement. Stays inside the target, which decides what becomes of it.</summary>
/// <param name="run">What the statement was to write; null for the position and the commands around it.</param>
internal sealed class RefusedException(PostgresException refusal, ApplyRun? run, int row) : Exception("The target refused a statement.")
{
    public PostgresException Refusal => refusal;

    /// <summary>The link or the server is gone, or short of something: a new connection may do.</summary>
    public bool IsLostLink => LostLink.Is(refusal) && !IsConflict;

    /// <summary>Another session was in the way: the same transaction may succeed when it is tried again.</summary>
    public bool IsConflict => refusal.SqlState is PostgresErrorCodes.SerializationFailure or PostgresErrorCodes.DeadlockDetected or PostgresErrorCodes.LockNotAvailable;

    /// <summary>A row or a constraint is in the way.</summary>
    public bool IsData => run is not null &&
        (refusal.SqlState.StartsWith("22", StringComparison.Ordinal) || refusal.SqlState.StartsWith("23", StringComparison.Ordinal));

    /// <summary>The failure for a person. The server's message may repeat a value, so only its code and the objects that it names are passed on.</summary>
    public Exception ToFailure(string pipeline)
    {
        if (IsLostLink || IsConflict)
            return refusal;
        if (run is null)
            return refusal.SqlState == PostgresErrorCodes.DivisionByZero ? ProgressTable.Fenced(pipeline) : refusal;
        var column = refusal.ColumnName is { } name ? $", column {SqlQuoting.Identifier(name)}" : "";
        var constraint = refusal.ConstraintName is { } rule ? $", constraint {SqlQuoting.Identifier(rule)}" : "";
        return new StreamException(
            IsData ? StreamErrorKind.Data : StreamErrorKind.Target,
            $"The target refuses {Describe(run.Shape.Kind)} table {run.Shape.Table.Name}{column}{constraint} with SQLSTATE {refusal.SqlState} " +
            $"(https://www.postgresql.org/docs/current/errcodes-appendix.html). Position: {run.Rows[row].Located}. " +
            "Mend the target, then start the stream again; it goes on where it stopped.");
    }

    static string Describe(RunKind kind) => kind switch
    {
        RunKind.Insert => "an insert into",
        RunKind.Delete or RunKind.DeleteWhole => "a delete from",
        RunKind.Truncate => "a truncation of",
        _ => "an update of",
    };
}
