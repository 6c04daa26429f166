namespace Tributary.Streaming.Tests.Ddl;

public enum DdlOutcome
{
    /// <summary>The target has the same afterwards.</summary>
    Carried,

    /// <summary>The target has not the same, and the stream says so with the position.</summary>
    Reported,

    /// <summary>The target has not the same, and no event trigger sees the command.</summary>
    Invisible,
}

/// <summary>One command of the conformance matrix.</summary>
/// <param name="Command">As the matrix shows it.</param>
/// <param name="Sql">As clients send it: <c>;;</c> stands between two strings of one session, <c>{s}</c> for the case's own schema.</param>
/// <param name="Setup">Run before, in the same way.</param>
/// <param name="Rows">Row changes that follow.</param>
/// <param name="Note">What a reader of the matrix should know.</param>
/// <param name="SinceMajor">The first Postgres that has the command.</param>
public sealed record DdlCase(
    string Category, string Command, string Sql, string Setup = "", string Rows = "", DdlOutcome Outcome = DdlOutcome.Carried, string Note = "", int SinceMajor = 13);
