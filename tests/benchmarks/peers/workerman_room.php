<?php
// The room of plugins/room.py on Workerman with a Channel server, as its manual shows it:
// AUTOLOAD=vendor/autoload.php PORT=8000 CHANNEL=8001 WORKERS=4 PLACE=/tmp php workerman_room.php start

require_once getenv('AUTOLOAD');

use Workerman\Worker;

const BURST = 100;

new Channel\Server('127.0.0.1', (int) getenv('CHANNEL'));

$worker = new Worker('text://127.0.0.1:' . getenv('PORT'));
$worker->count = (int) getenv('WORKERS');
$worker->reusePort = true;
$members = [];
$subscriber = null;
$arrived = 0;
$worker->onWorkerStart = function () use (&$members, &$subscriber, &$arrived) {
    Channel\Client::connect('127.0.0.1', (int) getenv('CHANNEL'));
    Channel\Client::on('room', function ($line) use (&$members) {
        foreach ($members as $member) {
            $member->send($line);
        }
    });
    Channel\Client::on('burst', function ($line) use (&$subscriber, &$arrived) {
        if ($subscriber !== null && ++$arrived === BURST) {
            $arrived = 0;
            $subscriber->send($line);
        }
    });
};
$worker->onConnect = function ($connection) use ($worker) {
    $connection->send((string) $worker->id);
};
$worker->onMessage = function ($connection, $line) use (&$members, &$subscriber) {
    switch ($line[0]) {
        case 'M':
            Channel\Client::publish('room', $line);
            break;
        case 'B':
            for ($number = 0; $number < BURST; $number++) {
                Channel\Client::publish('burst', $line);
            }
            break;
        case 'J':
            $members[$connection->id] = $connection;
            $connection->send('joined');
            break;
        case 'S':
            $subscriber = $connection;
            $connection->send('joined');
            break;
    }
};
$worker->onClose = function ($connection) use (&$members) {
    unset($members[$connection->id]);
};
Worker::$pidFile = getenv('PLACE') . '/workerman_room.pid';
Worker::$logFile = getenv('PLACE') . '/workerman_room.log';
Worker::$statusFile = getenv('PLACE') . '/workerman_room.status';
Worker::runAll();
