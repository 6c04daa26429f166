using Tributary.Postgres;

namespace Tributary.Streaming;

/// <summary>Something about a change of the schema that the target does not have. It is also kept in the target's table <c>tributary.schema_report</c>.</summary>
/// <param name="Position">The end of the commit that it belongs to.</param>
/// <param name="Tag">The command tag, for example <c>GRANT</c>.</param>
public sealed record SchemaReport(Lsn Position, string Tag, string Subject, string Why);
