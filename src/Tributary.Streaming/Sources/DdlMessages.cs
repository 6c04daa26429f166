using System.Text;
using System.Text.Json;
using Npgsql;

namespace Tributary.Streaming.Sources;

/// <summary>
/// The messages that the source's event triggers write. Anybody may write a message of any prefix (pg_logical_emit_message is public), so only
/// those count that hold the secret which the triggers alone can read.
/// </summary>
/// <param name="needsText">Whether types of users' own have come by a change of the schema: their binary form holds numbers that differ between databases.</param>
/// <param name="isBinary">Whether the rows come in binary.</param>
internal sealed class DdlMessages(string? token, bool needsText = false, bool isBinary = false)
{
    public static readonly DdlMessages None = new(null);

    public bool AreInstalled => token is not null;

    public bool NeedsText => needsText;

    public DdlMessages While(bool rowsAreBinary) => new(token, needsText, rowsAreBinary);

    /// <summary>Reads the secret; without event triggers no message counts.</summary>
    public static async Task<DdlMessages> OpenAsync(NpgsqlConnection source, StreamOptions options, CancellationToken cancellationToken)
    {
        if (options.Schema == SchemaMode.None)
            return None;
        await using var exists = new NpgsqlCommand("SELECT pg_catalog.to_regclass('tributary.ddl_setting') IS NOT NULL", source);
        if (await exists.ExecuteScalarAsync(cancellationToken) is not true)
            return None;
        try
        {
            await using var command = new NpgsqlCommand("SELECT token, has_user_types FROM tributary.ddl_setting", source);
            await using var reader = await command.ExecuteReaderAsync(cancellationToken);
            return await reader.ReadAsync(cancellationToken) ? new DdlMessages(reader.GetString(0), reader.GetBoolean(1)) : None;
        }
        catch (PostgresException exception) when (exception.SqlState == PostgresErrorCodes.InsufficientPrivilege)
        {
            throw new StreamException(
                StreamErrorKind.Configuration,
                $"The source has event triggers for changes of the schema, and the role {options.Source.User} may not read their secret. " +
                $"As a superuser of the source's database run: GRANT USAGE ON SCHEMA tributary TO {Postgres.SqlQuoting.Identifier(options.Source.User)}; " +
                $"GRANT SELECT ON tributary.ddl_setting TO {Postgres.SqlQuoting.Identifier(options.Source.User)};");
        }
    }

    public bool Accepts(ReadOnlySpan<byte> prefix) => token is not null && prefix.SequenceEqual("tributary.ddl"u8);

    /// <summary>The change that a message describes; null for somebody else's message.</summary>
    /// <exception cref="PgOutputFormatException">The content has the secret and is not what the triggers write.</exception>
    public SchemaChange? Read(ReadOnlySpan<byte> content)
    {
        var json = Encoding.UTF8.GetString(content);
        try
        {
            using var document = JsonDocument.Parse(json);
            var message = document.RootElement;
            if (message.ValueKind != JsonValueKind.Object || !message.TryGetProperty("token", out var secret) || secret.GetString() != token)
                return null;
            // The transaction has not been handed on, and comes again after the link is made anew; the source remembers that text is needed.
            if (isBinary && message.TryGetProperty("user_types", out var types) && types.ValueKind == JsonValueKind.True)
                throw new IOException("A change of the schema brings types of users' own; the rows are asked for as text from here on.");
            return new SchemaChange(message.GetProperty("tag").GetString()!, json);
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException or KeyNotFoundException)
        {
            // Without the secret it is somebody else's message of the same prefix.
            if (json.Contains(token!, StringComparison.Ordinal))
                throw new PgOutputFormatException("a message of the event triggers is malformed");
            return null;
        }
    }
}
