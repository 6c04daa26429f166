using Tributary.Postgres.Wire;

namespace Tributary.Postgres;

/// <summary>
/// The server answered a command or a session with an error. The exception's own message is the SQLSTATE alone: what the server says may repeat
/// a row, so whoever shows <see cref="Error"/> decides by its class whether that may be.
/// </summary>
public sealed class ServerErrorException(ErrorResponse error) : Exception($"The server answered with SQLSTATE {error.SqlState}.")
{
    public ErrorResponse Error { get; } = error;

    public string SqlState => Error.SqlState;
}
