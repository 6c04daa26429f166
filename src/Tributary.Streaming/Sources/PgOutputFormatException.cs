namespace Tributary.Streaming.Sources;

/// <summary>The bytes are not a pgoutput message, or one that cannot follow what came before. It is the only error of the decoder.</summary>
internal sealed class PgOutputFormatException(string message) : Exception(message);
