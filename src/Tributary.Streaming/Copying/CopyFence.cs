using Npgsql;
using Tributary.Postgres;

namespace Tributary.Streaming.Copying;

/// <summary>
/// Runs last in each transaction of a copy. A newer instance raises the epoch of the progress row: either before, then the transaction fails, or
/// it waits for the transaction's end, whose work it then takes back. Taken any earlier, the lock would make it wait for a whole table.
/// </summary>
internal sealed class CopyFence(string pipeline, long epoch)
{
    /// <summary>Fails with division by zero when another instance has taken over.</summary>
    public string Sql { get; } =
        $"SELECT 1 / count(*) FROM (SELECT FROM tributary.progress WHERE pipeline = {SqlQuoting.Literal(pipeline)} AND epoch = {epoch} AND state = 'copying' FOR SHARE) held;";

    public async Task RequireAsync(NpgsqlConnection target, CancellationToken cancellationToken)
    {
        try
        {
            await using var command = new NpgsqlCommand(Sql, target);
            await command.ExecuteNonQueryAsync(cancellationToken);
        }
        catch (PostgresException exception) when (exception.SqlState == PostgresErrorCodes.DivisionByZero)
        {
            throw Lost();
        }
    }

    public StreamException Lost() => new(
        StreamErrorKind.Fenced, $"Another instance of the stream '{pipeline}' has taken over while this one copied the existing rows. This one has stopped; let the other run.");
}
