using System.Text;
using Npgsql;
using Tributary.Postgres;

namespace Tributary.Streaming.Copying;

/// <summary>
/// Sets the target's sequences to the source's values. Logical decoding does not carry sequences, so their values are those of the copy;
/// who promotes the target sets them once more.
/// </summary>
internal static class SequenceCopy
{
    public static async Task RunAsync(NpgsqlConnection source, NpgsqlConnection target, CopyFence fence, CancellationToken cancellationToken)
    {
        var script = new StringBuilder();
        await using (var command = new NpgsqlCommand(
            "SELECT schemaname::text, sequencename::text, last_value FROM pg_catalog.pg_sequences WHERE last_value IS NOT NULL AND schemaname <> 'tributary'", source))
        {
            await using var reader = await command.ExecuteReaderAsync(cancellationToken);
            while (await reader.ReadAsync(cancellationToken))
            {
                var name = SqlQuoting.Literal(SqlQuoting.Qualified(reader.GetString(0), reader.GetString(1)));
                // A sequence made since the snapshot does not exist at the target; to_regclass passes it over.
                script.Append($"SELECT pg_catalog.setval(c, {reader.GetInt64(2)}) FROM pg_catalog.to_regclass({name}) AS c WHERE c IS NOT NULL;\n");
            }
        }

        if (script.Length == 0)
            return;
        await fence.RequireAsync(target, cancellationToken);
        await using var set = new NpgsqlCommand(script.ToString(), target);
        await set.ExecuteNonQueryAsync(cancellationToken);
    }
}
