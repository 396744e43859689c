<?php
// A room: the first line of a client is its name, every other one is sent to all. With Workerman.

use Workerman\Timer;
use Workerman\Worker;

require_once __DIR__ . '/vendor/autoload.php';

$worker = new Worker('text://127.0.0.1:9000');
// More than one would be several rooms: $worker->connections has the clients of its own process.
$worker->count = 1;

$worker->onWorkerStart = function ($worker) {
    Timer::add(10, function () use ($worker) {
        foreach ($worker->connections as $connection) {
            if (time() - $connection->lastLine > 600) {
                $connection->close();
            }
        }
    });
};

$worker->onConnect = function ($connection) {
    $connection->name = null;
    $connection->lastLine = time();
};

$worker->onMessage = function ($connection, $text) use ($worker) {
    $connection->lastLine = time();
    if ($connection->name === null) {
        $connection->name = $text;
        $connection->send("hello $text");
    } elseif ($text === '/quit') {
        $connection->close('bye');
    } else {
        foreach ($worker->connections as $each) {
            if ($each->name !== null) {
                $each->send("$connection->name: $text");
            }
        }
    }
};

Worker::runAll();
